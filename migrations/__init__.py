"""Alembic's scripts; `emotune migrate` runs them."""
