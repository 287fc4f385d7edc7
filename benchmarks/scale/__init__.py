"""Scale: the cost of a workflow on Postgres, and a simulation of larger deployments."""
