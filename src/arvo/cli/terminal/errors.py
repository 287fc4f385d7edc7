"""Errors: the exceptions that the command line prints as one line instead of a traceback."""

from cyclopts import CycloptsError

from arvo.core.violations.violation import Violated
from arvo.interpreters.delivery.backend_url import hide_logins
from arvo.interpreters.ports.errors import Corrupt, NoReply, TooLarge, Unavailable


class UsageError(Exception):
    """The command's arguments cannot be used; the message names the value and the remedy."""


# Errors that the operator can act on; a traceback would only hide the message.
REPORTED_ERRORS = (
    UsageError,
    Violated,
    Corrupt,
    TooLarge,
    NoReply,
    Unavailable,
    CycloptsError,
    TimeoutError,
)


def format_error(error: BaseException) -> str:
    """Format an error as one line, without logins: its message, or the name of its class."""
    return hide_logins(" ".join(str(error).split())) or type(error).__name__
