"""Datasets, uploads, and what is known about them."""
