"""Trace: the deliveries of a simulated run, and the decisions of its workers."""

from datetime import datetime
from typing import Any, final

from attrs import define, field, frozen

from arvo.core.events.event import Event
from arvo.engine.system.system import System
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
    """The inputs of a worker's step: its system, the time, and the results of its effects."""

    system: System
    now: datetime
    performed: tuple[Performed, ...] = ()
