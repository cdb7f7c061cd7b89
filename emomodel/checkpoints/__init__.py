"""A checkpoint on the disk: complete, or absent."""
