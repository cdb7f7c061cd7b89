"""The database: engine, transactions, schema, cursor pages."""
