"""Errors: which of the driver's errors waiting can help with."""

from typing import Final

from confluent_kafka import KafkaError, KafkaException

from arvo.interpreters.delivery.brokers.errors import ErrorRule, ErrorTranslator, PortError
from arvo.interpreters.ports.errors import Corrupt, TooLarge, Unavailable

# Codes with an underscore are the client's own; the driver means them for users.
_REFUSALS: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001
        KafkaError._INVALID_ARG,  # noqa: SLF001 - an unknown property, or a bad value of one
        KafkaError._SSL,  # noqa: SLF001
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
    }
)
# The driver itself tries these again.
_RETRIED: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
    }
)


def translate_errors() -> ErrorTranslator:
    """Return the context manager that translates the driver's exceptions."""
    return _TRANSLATOR


def translate_error(error: KafkaError) -> PortError:
    """Return the exception for an error that the driver reports as a value."""
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return TooLarge(f"kafka: {error.str()}: raise message.max.bytes, here and of the topic")
    text = f"kafka: {error.name()}: {error.str()}"
    return Corrupt(text) if error.code() in _REFUSALS else Unavailable(text)


def is_retried(error: KafkaError) -> bool:
    """Return True for an error after which the driver goes on by itself."""
    return error.code() in _RETRIED and not error.fatal()


def _raised(exception: KafkaException) -> PortError:
    return translate_error(exception.args[0])


def _full(exception: BufferError) -> Unavailable:  # noqa: ARG001 - its text adds nothing
    return Unavailable("kafka: too many messages are not yet confirmed, try later")


_TRANSLATOR: Final = ErrorTranslator(
    (
        ErrorRule((KafkaException,), _raised),
        ErrorRule((BufferError,), _full),
    )
)
