"""Limits: which deliveries of a Postgres schema hold the slots of limits, and which are parked."""
