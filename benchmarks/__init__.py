"""Speed and memory, as ratios against what a user would have instead, in one run on one machine."""
