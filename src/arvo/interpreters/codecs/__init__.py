"""Codecs: those that come with the library: encryption, compression, and several in a row."""
