"""Receiving an upload: read, validated and stored."""
