"""How answers are sent: entity tags, downloads, live feeds, compression, shared answers."""
