"""Step: decide everything that one event changes, as one pure function."""
