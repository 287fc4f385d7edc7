"""Dev: the processes of `arvo dev`: a watcher, and a program that has the system."""
