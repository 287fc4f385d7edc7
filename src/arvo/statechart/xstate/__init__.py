"""Xstate."""
