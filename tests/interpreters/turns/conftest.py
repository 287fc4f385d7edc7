"""Conftest: the fixture that runs a test on each backend that needs no server."""

from tests.interpreters.runtime.conftest import each_backend

__all__ = ["each_backend"]
