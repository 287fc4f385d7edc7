"""Jobs: acts on many workflows or dead letters, in the background of the console's process."""
