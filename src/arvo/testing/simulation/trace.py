"""Story: what is told of a simulated run."""

from datetime import datetime
from typing import Any, final

from attrs import define, field, frozen

from arvo.core.events.event import Event
from arvo.handlers.effect import Performed


@final
@frozen
class InvariantViolated:
    """A promise that was not kept: which *law* (`I1` … `I9` of the delivery promises, or the name
    of an invariant), and what happened.
    """

    law: str
    said: str

    def __str__(self) -> str:
        return f"{self.law}: {self.said}"


@final
@define(eq=False)
class Step:
    """A delivery that was handed out: its event, where it went, to which worker, and *notes* on
    what went wrong with it.
    """

    event: Event[Any]
    lane: str
    worker: str
    notes: list[str] = field(factory=list)


@final
@frozen
class Decided:
    """On what a worker decided a step: the time, and the effects that it was told of."""

    now: datetime
    performed: tuple[Performed, ...] = ()
