"""A bundle that writes replies: load, sample, stream."""
