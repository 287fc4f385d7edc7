"""Issue: one invalid value, with its path, the expected value and the actual one."""

import reprlib
from collections.abc import Iterable
from itertools import islice
from re import compile as pattern

from attrs import frozen

from arvo.printable import printable

ISSUES_MAX = 20
"""How many issues a message lists. The reader fixes the first few and tries again."""

ISSUES_COUNTED_MAX = 1000
"""How many issues are counted at all: a sender of a million bad items must not occupy a worker."""

GOT_CHARACTERS_MAX = 80
"""How much of a bad value a message shows: messages end up in logs and dead letters."""

# A memory address differs in each process, and equal steps must produce equal violations.
_ADDRESS = pattern(r" at 0x[0-9a-fA-F]+")
_SIMPLE_KEY = pattern(r"[A-Za-z_$][\w$-]{0,79}")


@frozen
class Issue:
    """One invalid value: its path, the expected value in words, and the actual value.

    >>> str(Issue("data.amount", "a number", "'ten'"))
    "data.amount: expected a number, got 'ten'"
    """

    path: str
    expected: str
    got: str

    def __str__(self) -> str:
        return printable(f"{self.path}: expected {self.expected}, got {self.got}")


@frozen
class Issues:
    """Everything wrong with one payload: at least one issue, and the number of those omitted."""

    items: tuple[Issue, ...]
    more: int = 0

    @classmethod
    def of(cls, issues: Iterable[Issue]) -> "Issues":
        """Keep the first ISSUES_MAX of *issues*, and count the rest up to ISSUES_COUNTED_MAX."""
        distinct = tuple(dict.fromkeys(islice(issues, ISSUES_COUNTED_MAX)))
        return cls(distinct[:ISSUES_MAX], max(0, len(distinct) - ISSUES_MAX))

    @classmethod
    def one(cls, path: str, expected: str, got: str) -> "Issues":
        """Make issues that hold a single issue."""
        return cls((Issue(path, expected, got),))

    def __str__(self) -> str:
        listed = "; ".join(map(str, self.items))
        return f"{listed}; and {self.more} more" if self.more else listed


def join_path(path: str, *steps: str | int) -> str:
    """Append *steps*, keys and list positions, to *path*.

    >>> join_path("data", "lines", 2, "first name")
    'data.lines[2]["first name"]'
    """
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif _SIMPLE_KEY.fullmatch(step):
            path += f".{step}"
        else:
            path += f'["{one_line(step)}"]'
    return path


def short_repr(value: object) -> str:
    """Return the repr of *value* on one line, cut to GOT_CHARACTERS_MAX; never raises."""
    try:
        return one_line(_ADDRESS.sub("", _REPR.repr(value)))
    except Exception:  # noqa: BLE001  # a repr may raise anything, an int of 5,000 digits does
        return f"a {type(value).__name__}"


def one_line(text: str) -> str:
    """Cut *text* to GOT_CHARACTERS_MAX printable characters."""
    return printable(text, GOT_CHARACTERS_MAX)


class _Repr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 6
        self.maxstring = self.maxlong = self.maxother = GOT_CHARACTERS_MAX + 2

    def repr_instance(self, x: object, level: int) -> str:  # noqa: ARG002  # reprlib's signature
        # Not reprlib's own, which hides an error of __repr__ behind a memory address.
        return repr(x)


_REPR = _Repr()
