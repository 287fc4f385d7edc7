"""Errors: the exceptions that the command line prints as one line instead of a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cyclopts import CycloptsError, MissingArgumentError, UnusedCliTokensError

from arvo.core.violations.violation import Violated
from arvo.extras import extra_of, needs_extra
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


MISSING_BACKEND: Final = (
    "no backend is named: give --backend or set ARVO_BACKEND, such as sqlite:///orders.db or "
    "postgresql://user@host/database"
)


def format_error(error: BaseException) -> str:
    """Format an error as one line, without logins: its message, or the name of its class.

    Where the arguments fit no command, it says how to see those that do.
    """
    if isinstance(error, MissingArgumentError) and "--backend" in _names(error):
        return MISSING_BACKEND
    text = hide_logins(" ".join(str(error).split())) or type(error).__name__
    if not isinstance(error, CycloptsError):
        return text
    command = " ".join(("arvo", *(error.command_chain or ())))
    if isinstance(error, UnusedCliTokensError):
        text = f"{command} does not take {' '.join(map(repr, error.unused_tokens or ()))}"
    return f"{text.removesuffix('...').rstrip(' .,')}: `{command} --help` lists what it takes"


def _names(error: MissingArgumentError) -> tuple[str, ...]:
    return () if error.argument is None else error.argument.names


@contextmanager
def naming_extra(feature: str) -> Iterator[None]:
    """Make a usage error of an import in the block that finds no module of an extra."""
    try:
        with needs_extra(feature):
            yield
    except ModuleNotFoundError as error:
        if extra_of(error) is None:
            raise
        raise UsageError(str(error)) from error
