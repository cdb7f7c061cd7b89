"""A checkpoint on the disk: whole, or not there."""
