"""An installation as one archive, and back."""
