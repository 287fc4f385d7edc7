"""Worker: processes the deliveries of a backend, in ticks or each by itself."""
