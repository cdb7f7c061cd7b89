"""Logs, traces and counts of an installation."""
