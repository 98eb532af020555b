"""What a change does, in the terms of monitoring: the Plans of two revisions, compared."""
