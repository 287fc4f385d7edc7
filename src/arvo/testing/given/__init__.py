"""Given: run one turn of any handler, and compare the commands with the expected ones."""
