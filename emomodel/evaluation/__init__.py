"""Measuring what a model has learnt: held-out losses, reference answers, the self-test of a bundle."""
