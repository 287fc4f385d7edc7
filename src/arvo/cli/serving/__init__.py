"""Serving: the commands that answer browsers and models until a signal stops them."""
