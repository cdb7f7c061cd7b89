"""Writing replies with a bundle: loading it, sampling and streaming."""
