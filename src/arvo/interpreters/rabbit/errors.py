"""Errors: which of the driver's exceptions waiting can help with."""

from typing import Final

from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    AuthenticationError,
    ChannelPreconditionFailed,
    DeliveryError,
    ProbableAuthenticationError,
    PublishError,
)

from arvo.interpreters.delivery.backend_url import hide_logins
from arvo.interpreters.delivery.brokers.errors import ErrorRule, ErrorTranslator
from arvo.interpreters.ports.errors import Corrupt, Unavailable


def translate_errors() -> ErrorTranslator:
    """Return the context manager that translates the driver's exceptions."""
    return _TRANSLATOR


def _refused(error: Exception) -> Corrupt:
    return Corrupt(f"rabbit refuses the login, check user and password: {hide_logins(repr(error))}")


def _differs(error: Exception) -> Corrupt:
    remedy = "delete the queue when it is empty, or choose another prefix"
    return Corrupt(
        f"rabbit: a queue exists with other settings, {remedy}: {hide_logins(repr(error))}"
    )


def _missing(error: Exception) -> Unavailable:  # noqa: ARG001 - it names no queue
    return Unavailable("rabbit: the queue is gone, and will be declared again")


def _full(error: Exception) -> Unavailable:  # noqa: ARG001 - it names no queue
    return Unavailable("rabbit: the queue is full, try later")


def _lost(error: Exception) -> Unavailable:
    return Unavailable(f"rabbit: {hide_logins(repr(error))}")


_TRANSLATOR: Final = ErrorTranslator(
    (
        ErrorRule((AuthenticationError, ProbableAuthenticationError), _refused),
        ErrorRule((ChannelPreconditionFailed,), _differs),
        # A PublishError is a DeliveryError.
        ErrorRule((PublishError,), _missing),
        ErrorRule((DeliveryError,), _full),
        ErrorRule(CONNECTION_EXCEPTIONS, _lost),
    )
)
