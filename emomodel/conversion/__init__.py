"""Models of other tools are converted to ours: GGUF files, and the files of the original project."""
