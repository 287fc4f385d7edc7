"""New: makes the folder of a new project from the files in `template`."""
