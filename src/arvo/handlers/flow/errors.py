"""Errors: the exceptions that a flow may catch, and those that end it."""

from typing import final

from arvo.core.command import Fail
from arvo.core.events.protocol import SystemFault
from arvo.core.violations.issue import short_repr


class ServiceFailed(Exception):
    """A service answered with a system error: *fault*. *service* is the service's event type."""

    def __init__(self, service: str, fault: SystemFault) -> None:
        super().__init__(service, fault)
        self.service = service
        self.fault = fault

    def __str__(self) -> str:
        return f"{self.service} failed: {self.fault.name}: {self.fault.message}"


class UnexpectedReply(Exception):
    """A service answered with an event of its contract that `ask` does not name: *reply*."""

    def __init__(self, event_type: str, reply: object) -> None:
        super().__init__(event_type, reply)
        self.event_type = event_type
        self.reply = reply

    def __str__(self) -> str:
        return f"{self.event_type} is no reply that the flow names: {short_repr(self.reply)}"


class CallFailed(Exception):
    """The function of a `call` raised; *name* and *message* are those of its exception.

    The flow receives this class also in the first run, so that a replay raises an equal exception.
    """

    def __init__(self, function: str, name: str, message: str) -> None:
        super().__init__(function, name, message)
        self.function = function
        self.name = name
        self.message = message

    def __str__(self) -> str:
        return f"{self.function} raised {self.name}: {self.message}"


@final
class FlowFailed(Exception):
    """The exception that `fail` raises; it becomes the command *fail*."""

    def __init__(self, fail: Fail) -> None:
        super().__init__(fail.reason)
        self.fail = fail


# Not an Exception: `except Exception` handles errors, and a cancellation is none.
@final
class Cancelled(BaseException):
    """The workflow is cancelled: raised at each point where the flow waits.

    Events that the flow still emits are sent, but it cannot wait any more. *reason* is that of the
    `Cancellation`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@final
class ContinueAsNew(BaseException):
    """The exception that `continue_as_new` raises."""

    def __init__(self, payload: object) -> None:
        super().__init__("the flow continues as new")
        self.payload = payload
