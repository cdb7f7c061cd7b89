"""The migrations of the database, written for Alembic; `emotune migrate` runs them."""
