{ _config+:: { selector: 'job="none"' } }
