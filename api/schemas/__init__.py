"""The wire models, a module for each noun."""
