"""One run: its training process supervised, recorded and brought to an end."""
