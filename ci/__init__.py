"""What the workflows of a code host call, so that all of it can be run on any machine."""
