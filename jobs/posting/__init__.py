"""Posting a job: what it will take, and whether it is accepted."""
