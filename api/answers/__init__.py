"""Sending answers: entity tags, downloads, live feeds, compression, shared answers."""
