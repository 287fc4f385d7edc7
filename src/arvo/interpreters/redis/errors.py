"""Errors: which of the driver's exceptions waiting can help with."""

from typing import Final

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from arvo.interpreters.delivery.brokers.errors import ErrorRule, ErrorTranslator, error_text
from arvo.interpreters.ports.errors import Corrupt, Unavailable

# Replies of a server that will soon work again: it is loading, failing over, waiting for its
# replicas, busy, or out of memory.
_TRANSIENT: Final = ("LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "TRYAGAIN", "BUSY", "OOM")
_TRANSIENT_ERRORS: Final = (
    BusyLoadingError,
    ClusterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)


def translate_errors() -> ErrorTranslator:
    """Return the context manager that translates the driver's exceptions."""
    return _TRANSLATOR


def _refused(error: Exception) -> Corrupt:
    return Corrupt(f"redis refuses the login, check user and password: {error_text(error)}")


def _replied(error: ResponseError) -> Unavailable | Corrupt:
    if isinstance(error, _TRANSIENT_ERRORS) or str(error).startswith(_TRANSIENT):
        return Unavailable(f"redis: {error_text(error)}")
    return Corrupt(
        f"redis refuses a command, does another program use the prefix?: {error_text(error)}"
    )


def _lost(error: Exception) -> Unavailable:
    return Unavailable(f"redis: {error_text(error)}")


_TRANSLATOR: Final = ErrorTranslator(
    (
        ErrorRule((AuthenticationError, AuthorizationError, NoPermissionError), _refused),
        ErrorRule((ResponseError,), _replied),
        ErrorRule((RedisError, OSError), _lost),
    )
)
