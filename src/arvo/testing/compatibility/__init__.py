"""Compatibility: which changes of a contract break its consumers or its producers."""
