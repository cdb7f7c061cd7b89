"""The bundle: the zip, its manifest, its model card, its reference prompts."""
