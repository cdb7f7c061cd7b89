"""Whose turn it is, and why a job waits."""
