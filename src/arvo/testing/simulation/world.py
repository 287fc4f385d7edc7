"""World: what a simulated system has done so far, for invariants to look at."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias, TypeVar, final

from attrs import define, field, frozen

from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.handlers.effect import Perform
from arvo.interpreters.ports.backend import DeadLetter

T = TypeVar("T")


@final
@define(eq=False)
class World:
    """The simulated world as it is at one moment; look, and change nothing.

    *records*: what each workflow remembers, by subject. *sent*: every event that was taken from
    outside or that a commit sent, each once, in order. *outside*, *home*: the events that left by a
    domain or went back to whoever asked, as often as they did: at least once. *performed*: the
    effects, once for each time that one was called. *letters*: the dead letters. *now*: the time;
    *at_rest*: whether everything is over.
    """

    now: datetime
    records: dict[str, Record] = field(factory=dict, init=False)
    sent: list[Event[Any]] = field(factory=list, init=False)
    outside: list[Event[Any]] = field(factory=list, init=False)
    home: list[Event[Any]] = field(factory=list, init=False)
    performed: list[Perform[Any]] = field(factory=list, init=False)
    letters: list[DeadLetter] = field(factory=list, init=False)
    at_rest: bool = field(default=False, init=False)

    def payloads(self, kind: type[T]) -> list[T]:
        """Give the payloads of a class that were sent, in order."""
        return [event.data for event in self.sent if isinstance(event.data, kind)]

    def states(self, handler: str) -> Mapping[str, Any]:
        """Give what the runs of a workflow persisted, as JSON, by subject."""
        return {
            subject: record.state
            for subject, record in self.records.items()
            if record.handler == handler
        }


Invariant: TypeAlias = Callable[[World], bool | None]


@final
@frozen
class Check:
    """An invariant and *when* it must hold; *name* is what a failure calls it."""

    when: Literal["always", "eventually", "sometimes"]
    invariant: Invariant
    name: str

    def holds(self, world: World) -> bool:
        """Ask it; an AssertionError is a no, and so is nothing else."""
        try:
            return self.invariant(world) is not False
        except AssertionError:
            return False


def always(invariant: Invariant, name: str | None = None) -> Check:
    """Demand that *invariant* holds after every change, in every run.

    It is a function of the `World` that returns a bool, or asserts. *name*: what a failure calls it
    by, else its own name.
    """
    return Check("always", invariant, name or _name(invariant))


def eventually(invariant: Invariant, name: str | None = None) -> Check:
    """Demand that *invariant* holds when all faults are over and everything has come to rest."""
    return Check("eventually", invariant, name or _name(invariant))


def sometimes(invariant: Invariant, name: str | None = None) -> Check:
    """Demand that *invariant* holds at some moment of some run: what is searched can be found."""
    return Check("sometimes", invariant, name or _name(invariant))


def _name(invariant: Invariant) -> str:
    return getattr(invariant, "__name__", repr(invariant))
