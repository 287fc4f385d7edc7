"""Services: the registry of the workers on a backend, and the fate of an event that one lacks."""
