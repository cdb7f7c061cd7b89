"""The base models that the operator lists, and their files on each machine."""
