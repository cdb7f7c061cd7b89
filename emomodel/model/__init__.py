"""The base model with its adapters and the emotion projection, and their files."""
