"""Services: what the workers on a backend serve, and what becomes of an event that one lacks."""
