"""Stamp: identity and time for an event that no step makes.

What a step emits takes its id from the event it consumes and its time from `now`. An event that
begins something has no such cause: whoever makes it gives both, and where they do not, the
*stamper* does. The edge installs it when arvo is imported, so that core itself has neither clock
nor chance.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeAlias, final

from attrs import frozen


@final
@frozen
class Stamp:
    """*id*: unique among all events. *time*: RFC 3339 with an offset.

    *traceparent*, *tracestate*: the trace that is under way (W3C Trace Context), None for none.
    """

    id: str
    time: str
    traceparent: str | None = None
    tracestate: str | None = None


Stamper: TypeAlias = Callable[[], Stamp]

_installed: list[Stamper] = []
_here: Final[ContextVar[Stamper | None]] = ContextVar("arvo_stamper", default=None)


def install_stamper(stamper: Stamper) -> None:
    """Say once, at the edge, where identity and time come from."""
    _installed[:] = [stamper]


@contextmanager
def stamping(stamper: Stamper) -> Iterator[None]:
    """Take stamps from *stamper* in this context, so that a test knows every id and time.

    >>> with stamping(lambda: Stamp("id-1", "2026-01-02T03:04:05Z")):
    ...     stamp().id
    'id-1'
    """
    token = _here.set(stamper)
    try:
        yield
    finally:
        _here.reset(token)


def stamp() -> Stamp:
    """Ask for a fresh identity and the present time. No step calls this; a test says so."""
    return (_here.get() or _installed[0])()
