"""Models from and to other tools: GGUF, the original project's files."""
