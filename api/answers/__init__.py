"""How answers leave: entity tags, downloads, live feeds, compression, shared answers."""
