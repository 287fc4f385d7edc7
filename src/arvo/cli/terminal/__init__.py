"""The arguments and the output of commands, in a shell."""
