"""Pending: the requests, children and timers that a workflow waits for, and their replies."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias, final

from attrs import evolve, frozen

from arvo.core.commit import PendingTimer
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.dataschema import WILDCARD, Dataschema
from arvo.core.events.event import Event
from arvo.core.events.protocol import Cancellation, SystemFault, Timer, TimerFired
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.record import ChildRun, Record, SentRequest
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ContractViolation
from arvo.engine.step.admit import describe_event
from arvo.engine.step.apply_commands import TurnEffects
from arvo.engine.step.event_factory import EventFactory
from arvo.engine.system.handler import WorkflowHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.turn_input import TurnInput, TurnOutcome

# Finished children stay in the record so that the workflow tree can show them. Without a limit, a
# workflow that starts one child a day and never ends would grow with each of them.
CHILDREN_MAX: Final = 1_000

# Answered requests that stay in the record for further replies of their services.
ANSWERED_REQUESTS_MAX: Final = 100

# The requests that were sent, by the id of their event.
PendingRequests: TypeAlias = Mapping[str, SentRequest]


@final
@frozen
class Pending:
    """Everything that a workflow waits for after a turn.

    *timers*: by name. *new_timers*: those that this turn set.
    """

    requests: PendingRequests
    answered: PendingRequests
    timers: Mapping[str, Timer]
    new_timers: tuple[PendingTimer, ...]


def find_request(record: Record, event: Event[Any]) -> SentRequest | None:
    """Return the request of *record* that *event* names as its parent.

    It is open, or was answered a short while ago: a service may reply more than once.
    """
    if event.parentid is None:
        return None
    sent = record.pending_requests.get(event.parentid)
    return record.answered_requests.get(event.parentid) if sent is None else sent


def is_reply(sent: SentRequest, event: Event[Any]) -> bool:
    """Return whether *event* comes from the service that was asked, by its contract."""
    return _is_from_service(sent, event) and _fits_contract(sent, event)


def refuse_reply(sent: SentRequest, event: Event[Any]) -> ContractViolation | None:
    """Return a violation for an event that names a request and is no reply of its service."""
    if not _is_from_service(sent, event):
        issue = Issue("source", f"{sent.to} (the service that was asked)", repr(event.source))
    elif not _fits_contract(sent, event):
        issue = Issue("dataschema", f"{sent.dataschema} (as asked)", repr(event.dataschema))
    else:
        return None
    return ContractViolation(
        f"{describe_event(event)} is no reply to the request {event.parentid!r}", issue
    )


def _is_from_service(sent: SentRequest, event: Event[Any]) -> bool:
    # A request with an address of its own choice is answered by the handler of that address, whose
    # source is the type that it accepts.
    return event.source in (sent.to, sent.type)


def _fits_contract(sent: SentRequest, event: Event[Any]) -> bool:
    asked, schema = Dataschema.parse(sent.dataschema), Dataschema.parse(event.dataschema)
    if asked is None or schema is None:
        return False
    return schema.uri == asked.uri and schema.version in (asked.version, WILDCARD)


def file_reply(record: Record | None, event: Event[Any]) -> PendingRequests:
    """Return the pending requests by id, with *event* added to the replies of its request.

    A signal may have the id of a request as its parent; it is no reply.
    """
    if record is None:
        return EMPTY
    pending = record.pending_requests
    sent = None if event.parentid is None else pending.get(event.parentid)
    if sent is None or not is_reply(sent, event):
        return pending
    answered = evolve(sent, replies=(*sent.replies, event))
    return FrozenDict({**pending, str(event.parentid): answered})


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
    sent = {
        event.id: SentRequest(event.to or "", event.type, event.dataschema or "", event.domain)
        for event in events
        if not isinstance(event.data, Cancellation | SystemFault)
    }
    if not sent and not outcome.abandoned_requests and not outcome.continued_as_new:
        return pending
    unanswered = {
        id_: request
        for id_, request in pending.items()
        if not request.replies
        and id_ not in outcome.abandoned_requests
        and (not outcome.continued_as_new or id_ in current.children)
    }
    return FrozenDict({**unanswered, **sent})


def next_answered(
    handler: WorkflowHandler, current: Record, filed: PendingRequests, pending: PendingRequests
) -> PendingRequests:
    """Return the requests whose further replies count, after a turn from *filed* to *pending*.

    A flow takes one reply for a request.
    """
    if isinstance(handler, FlowHandler):
        return EMPTY
    answered = {
        id_: evolve(sent, replies=())
        for id_, sent in filed.items()
        if sent.replies and id_ not in pending
    }
    if not answered:
        return current.answered_requests
    newest = [*current.answered_requests.items(), *answered.items()][-ANSWERED_REQUESTS_MAX:]
    return FrozenDict(newest)


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
        open_ids = {id_ for id_, request in pending.items() if not request.replies}
        finished = [id_ for id_ in children if id_ not in started and id_ not in open_ids]
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
