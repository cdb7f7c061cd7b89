"""Writing an installation into one archive, and restoring it."""
