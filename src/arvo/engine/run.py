"""Run: a whole system as one function."""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from arvo.core.commit import Commit
from arvo.core.event import Event
from arvo.core.record import Record
from arvo.engine.decide import settle
from arvo.engine.route import Destination, Inside, route
from arvo.engine.system import System
from arvo.engine.trace import Happened, Refused, Stepped, Trace

# Far more than a workflow takes, and soon reached by two handlers that answer each other for ever.
STEPS_MAX: Final = 10_000


def run(
    system: System,
    event: Event[Any],
    *,
    effects: Mapping[Callable[..., Any], Callable[..., Any]] | None = None,
    records: Mapping[str, Record] | None = None,
    now: datetime | None = None,
    steps_max: int = STEPS_MAX,
) -> Trace:
    """Deliver *event* and all that follows from it, first in, first out, until the system rests.

    Pure, where the functions in *effects* are: they map what a handler names in `call` to what is
    to be called instead. *records* is what workflows remember beforehand, by subject. *now* is the
    time of every event made, by default that of *event*. After *steps_max* steps the rest is
    `pending`.
    """
    time = now or datetime.fromisoformat(event.time)
    remembered = dict(records or {})
    sent: list[tuple[Event[Any], Destination]] = [(event, route(system, event, None))]
    queue = deque(sent)
    happened: list[Happened] = []
    seen: set[tuple[str, str, str, str]] = set()
    while queue and len(happened) < steps_max:
        delivered, destination = queue.popleft()
        if not isinstance(destination, Inside):
            continue
        identity = (destination.address, delivered.source, delivered.id, delivered.subject)
        if identity in seen:
            continue
        before = remembered.get(delivered.subject)
        outcome = settle(system, delivered, before, now=time, effects=effects or {})
        if not isinstance(outcome, Commit):
            happened.append(Refused(delivered, outcome))
            continue
        seen.add(identity)
        happened.append(Stepped(delivered, before, outcome))
        if outcome.record is not None:
            remembered[outcome.record.subject] = outcome.record
        made = [(each, route(system, each, delivered)) for each in outcome.events]
        sent += made
        queue += made
    pending = tuple(each for each, where in queue if isinstance(where, Inside))
    return Trace(
        root=event,
        happened=tuple(happened),
        sent=tuple(sent),
        records=remembered,
        pending=pending,
    )
