"""Pair: a model of a broker and of a record store, under the real code of a paired backend."""
