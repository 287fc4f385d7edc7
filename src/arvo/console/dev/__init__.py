"""Dev: what the console has beyond its own pages in `arvo dev`."""
