"""Conftest: the fixtures that run a test on each kind of backend."""

from tests.interpreters.runtime.conftest import each_backend, open_backend

__all__ = ["each_backend", "open_backend"]
