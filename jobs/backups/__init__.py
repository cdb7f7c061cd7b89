"""Backups: an installation written into one archive, and restored from it."""
