"""Errors: which errors of the driver and of JetStream's API waiting can help with."""

from typing import Any, Final

import nats.errors

from arvo.interpreters.delivery.brokers.errors import ErrorRule, ErrorTranslator, error_text
from arvo.interpreters.ports.errors import Corrupt, Unavailable

# Error codes of JetStream's API that some callers expect.
NO_MESSAGE: Final = 10037
NO_SEQUENCE: Final = 10043
NOT_DELETED: Final = 10057
NAME_IN_USE: Final = 10058
NO_STREAM: Final = 10059
TOO_LARGE: Final = 10054
NO_CONSUMER: Final = 10014
WRONG_SEQUENCE: Final = frozenset({10071, 10164})

_SERVER_ERROR: Final = 500


def translate_errors() -> ErrorTranslator:
    """Return the context manager that translates the driver's exceptions."""
    return _TRANSLATOR


def translate_error(error: dict[str, Any]) -> Unavailable | Corrupt:
    """Return the exception for an error that JetStream's API replied with.

    A stream or a consumer that does not exist is created again, so waiting helps.
    """
    text = f"nats: {error.get('description')} ({error.get('err_code')})"
    if error["code"] >= _SERVER_ERROR or error.get("err_code") in (NO_STREAM, NO_CONSUMER):
        return Unavailable(text)
    return Corrupt(f"{text}: correct the settings of the server, or those of the backend")


def _lost(error: Exception) -> Unavailable:
    return Unavailable(f"nats: {error_text(error)}")


_TRANSLATOR: Final = ErrorTranslator((ErrorRule((nats.errors.Error, OSError), _lost),))
