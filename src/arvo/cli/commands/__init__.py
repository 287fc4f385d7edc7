"""The commands of `arvo`, by what they act on."""
