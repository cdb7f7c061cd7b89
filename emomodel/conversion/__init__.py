"""From the models of other tools to ours: GGUF files, and the files of the original project."""
