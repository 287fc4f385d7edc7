"""Pending: the requests, children and timers that a workflow waits for after a turn."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias, final

from attrs import frozen

from arvo.core.commit import PendingTimer
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.event import Event
from arvo.core.events.protocol import Cancellation, SystemFault, Timer, TimerFired
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.record import ChildRun, Record
from arvo.engine.step.apply_commands import TurnEffects
from arvo.engine.step.event_factory import EventFactory
from arvo.engine.system.handler import WorkflowHandler
from arvo.handlers.turn_input import TurnInput, TurnOutcome

# Finished children stay in the record so that the workflow tree can show them. Without a limit, a
# workflow that starts one child a day and never ends would grow with each of them.
CHILDREN_MAX: Final = 1_000

# The replies to each request that was sent, by the id of the request.
PendingRequests: TypeAlias = Mapping[str, tuple[Event[Any], ...]]


@final
@frozen
class Pending:
    """Everything that a workflow waits for after a turn.

    *timers*: by name. *new_timers*: those that this turn set.
    """

    requests: PendingRequests
    timers: Mapping[str, Timer]
    new_timers: tuple[PendingTimer, ...]


def file_reply(record: Record | None, event: Event[Any]) -> PendingRequests:
    """Return the pending requests by id, with *event* added to the replies of its request."""
    if record is None:
        return EMPTY
    if event.parentid is None or event.parentid not in record.pending_requests:
        return record.pending_requests
    replies = (*record.pending_requests[event.parentid], event)
    return FrozenDict({**record.pending_requests, event.parentid: replies})


def next_requests(
    pending: PendingRequests,
    current: Record,
    events: tuple[Event[Any], ...],
    outcome: TurnOutcome,
) -> PendingRequests:
    """Return the requests that the workflow waits for after a turn that sent *events*.

    A request stays until it is answered or the workflow abandons it. The TypeScript package starts
    a new set whenever a turn emits, and so loses the replies that are still to come.
    """
    # A cancellation and a system error have no reply.
    sent = [event.id for event in events if not isinstance(event.data, Cancellation | SystemFault)]
    if not sent and not outcome.abandoned_requests and not outcome.continued_as_new:
        return pending
    unanswered = {
        id_: replies
        for id_, replies in pending.items()
        if not replies
        and id_ not in outcome.abandoned_requests
        and (not outcome.continued_as_new or id_ in current.children)
    }
    return FrozenDict({**unanswered, **dict.fromkeys(sent, ())})


def next_children(
    current: Record, pending: PendingRequests, events: tuple[Event[Any], ...]
) -> Mapping[str, ChildRun]:
    """Add the workflows that *events* start; drop the oldest finished ones over CHILDREN_MAX."""
    started = {
        event.id: ChildRun(event.subject, event.dataschema or "", event.domain)
        for event in events
        if event.raw.get(PARENT_SUBJECT) == current.subject
    }
    if not started:
        return current.children
    children = {**current.children, **started}
    excess = len(children) - CHILDREN_MAX
    if excess > 0:
        finished = [id_ for id_ in children if id_ not in started and pending.get(id_) != ()]
        for id_ in finished[:excess]:
            del children[id_]
    return FrozenDict(children)


def next_timers(
    handler: WorkflowHandler,
    turn: TurnInput,
    current: Record,
    effects: TurnEffects,
    factory: EventFactory,
) -> tuple[Mapping[str, Timer], tuple[PendingTimer, ...]]:
    """Return the timers of the new record, by name, and the timers that this turn sets."""
    if effects.status == "failed":
        # An operator can revive the workflow, which then needs its timers.
        return current.timers, ()
    if effects.status != "active":
        return EMPTY, ()
    fired = turn.event.data.name if isinstance(turn.event.data, TimerFired) else None
    if fired is None and not effects.timers:
        return current.timers, ()
    pending = {name: timer for name, timer in current.timers.items() if name != fired}
    new: list[PendingTimer] = []
    for name, scheduled in effects.timers.items():
        pending.pop(name, None)
        if scheduled is not None:
            at = scheduled.at.isoformat()
            pending[name] = Timer(factory.timer_id(name), at, scheduled.payload)
            new.append(factory.pending_timer(handler.contract, name, pending[name]))
    return FrozenDict(pending), tuple(new)
