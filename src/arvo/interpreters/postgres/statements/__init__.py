"""Statements: the SQL of the Postgres backend, one function for each read or write."""
