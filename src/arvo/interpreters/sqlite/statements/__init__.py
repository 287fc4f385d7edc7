"""Statements: the SQL of the SQLite backend, one function for each read or write."""
