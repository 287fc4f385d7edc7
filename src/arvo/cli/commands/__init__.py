"""The commands of `arvo`, a module for each thing that they act on."""
