"""A module without a function `board`."""

TITLE = "Nothing"
