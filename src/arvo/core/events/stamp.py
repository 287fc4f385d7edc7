"""Stamp: the id and the time of an event that no step produces.

An event that a step emits takes its id from the consumed event and its time from `now`. An event
that begins something has no such cause: its sender gives both, or else the *stamper* does. The
package installs a stamper when it is imported, so that core itself uses no clock and no randomness.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeAlias, final

from attrs import frozen

from arvo.construct import constructor


@final
@frozen(weakref_slot=False)
class Stamp:
    """*id*: unique among all events. *time*: RFC 3339 with an offset.

    *traceparent*, *tracestate*: the current trace (W3C Trace Context), None without one.
    """

    id: str
    time: str
    traceparent: str | None = None
    tracestate: str | None = None


make_stamp: Final = constructor(Stamp)
Stamper: TypeAlias = Callable[[], Stamp]

_installed: list[Stamper] = []
_context_stamper: Final[ContextVar[Stamper | None]] = ContextVar("arvo_stamper", default=None)


def install_stamper(stamper: Stamper) -> None:
    """Set the process-wide source of ids and times."""
    _installed[:] = [stamper]


@contextmanager
def stamping(stamper: Stamper) -> Iterator[None]:
    """Take stamps from *stamper* in this context, so that a test controls every id and time.

    >>> with stamping(lambda: Stamp("id-1", "2026-01-02T03:04:05Z")):
    ...     stamp().id
    'id-1'
    """
    token = _context_stamper.set(stamper)
    try:
        yield
    finally:
        _context_stamper.reset(token)


def stamp() -> Stamp:
    """Return a new id and the current time. A test checks that no step calls this."""
    return (_context_stamper.get() or _installed[0])()
