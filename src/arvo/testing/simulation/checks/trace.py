"""Trace: the deliveries of a simulated run, and the decisions of its workers."""

from datetime import datetime
from typing import Any, final

from attrs import define, field, frozen

from arvo.core.events.event import Event
from arvo.handlers.effect import Performed


@final
@define(eq=False)
class Step:
    """One delivery: its event, its queue, its worker, and *notes* on the faults that hit it."""

    event: Event[Any]
    queue: str
    worker: str
    notes: list[str] = field(factory=list)


@final
@frozen
class Decision:
    """The inputs of a worker's step: the time, and the results of its effects."""

    now: datetime
    performed: tuple[Performed, ...] = ()
