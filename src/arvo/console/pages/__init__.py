"""Pages: the functions that answer requests, each with a page or a file."""
