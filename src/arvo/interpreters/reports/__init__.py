"""Reports: what effects report while they run, on its way to the watchers of all processes."""
