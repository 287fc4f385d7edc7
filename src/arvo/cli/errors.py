"""Mistake: what the person at the keyboard can mend, told in one line."""

from cyclopts import CycloptsError

from arvo.core.violations.violation import Violated
from arvo.interpreters.ports.backend import Corrupt, NoReply, TooLarge, Unavailable


class Mistake(Exception):
    """Something was asked for that cannot be; the text says what would do."""


# Everything that a person should be told without a stack.
TOLD = (
    Mistake,
    Violated,
    Corrupt,
    TooLarge,
    NoReply,
    Unavailable,
    CycloptsError,
    TimeoutError,
)


def line_of(error: BaseException) -> str:
    """Say an error in one line."""
    return " ".join(str(error).split()) or type(error).__name__
