"""Reports: what effects report, on its way through a table of a Postgres schema."""
