"""Periodic work: sweeps, garbage, statistics of datasets."""
