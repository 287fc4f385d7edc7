"""Fault: what a system error event says, and where it is addressed."""

import traceback
from typing import Final, final

from attrs import field, frozen

from arvo.core.payloads.payload import Payload

# An error that quotes its whole input is cut.
MESSAGE_CHARACTERS_MAX: Final = 4096
STACK_CHARACTERS_MAX: Final = 32 * 1024


@final
@frozen
class SystemFault:
    """The payload of every `sys.*.error` event (reference F040, F048).

    On the wire, and to its constructor, the fields are `errorName`, `errorMessage` and
    `errorStack`. The stack is None unless the operator asked for stacks: they tell strangers too
    much (B37).
    """

    name: str = field(alias="errorName")
    message: str = field(alias="errorMessage")
    stack: str | None = field(default=None, alias="errorStack")

    @classmethod
    def of(cls, error: BaseException, *, stack: bool = False) -> "SystemFault":
        """Say what an exception says.

        >>> SystemFault.of(ValueError("no stock"))
        SystemFault(name='ValueError', message='no stock', stack=None)
        """
        told = "".join(traceback.format_exception(error)) if stack else None
        return cls(
            errorName=type(error).__name__,
            errorMessage=sendable(_said(error)),
            errorStack=None if told is None else sendable(told, STACK_CHARACTERS_MAX),
        )


def sendable(text: str, characters_max: int = MESSAGE_CHARACTERS_MAX) -> str:
    """Make any text fit for the wire: cut, and without lone surrogates (a file name has them)."""
    return text[:characters_max].encode(errors="backslashreplace").decode()


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a message of the user's own making may raise anything
        return "an error that cannot say what it is"


FAULT: Final = Payload.of(SystemFault)


def system_error_type(accepted: str) -> str:
    """Name the event type of a contract's system errors (F048).

    >>> system_error_type("com.payment.charge")
    'sys.com.payment.charge.error'
    """
    return f"sys.{accepted}.error"


def is_system_error(event_type: str) -> bool:
    """Tell whether an event type is that of some contract's system errors.

    >>> is_system_error("sys.com.payment.charge.error"), is_system_error("evt.payment.error")
    (True, False)
    """
    return event_type.startswith("sys.") and event_type.endswith(".error")
