"""Pending: the requests, children and timers that a workflow waits for, and their replies."""

from collections.abc import Container, Mapping
from itertools import islice
from typing import Any, Final, TypeAlias, final

from attrs import define

from arvo.core.begin import is_keyed
from arvo.core.commit import PendingTimer
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.dataschema import WILDCARD, Dataschema
from arvo.core.events.event import Event
from arvo.core.events.identity import KEYED_PREFIX
from arvo.core.events.protocol import Cancellation, SystemFault, Timer, TimerFired
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.record import Record
from arvo.core.replies import NO_REPLIES, Replies
from arvo.core.requests import ChildRun, SentRequest, make_request
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ContractViolation
from arvo.engine.step.admit import describe_event
from arvo.engine.step.apply_commands import TurnEffects
from arvo.engine.step.event_factory import EventFactory
from arvo.engine.system.handler import WorkflowHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.resumable import Resumable
from arvo.handlers.services import Services
from arvo.handlers.turn_input import TurnInput, TurnOutcome

# A workflow that waits for more replies than this has lost track of them, and each turn copies the
# list.
PENDING_REQUESTS_MAX: Final = 10_000

# Finished children stay in the record so that the workflow tree can show them. Without a limit, a
# workflow that starts one child a day and never ends would grow with each of them.
CHILDREN_MAX: Final = 1_000

# Answered requests that stay in the record for further replies of their services, and requests
# that are one way, for a reply that may come all the same.
ANSWERED_REQUESTS_MAX: Final = 100

# The requests that were sent, by the id of their event.
PendingRequests: TypeAlias = Mapping[str, SentRequest]

# The data of events that are no requests.
_WITHOUT_REPLY: Final = frozenset({Cancellation, SystemFault})


@final
@define
class Pending:
    """Everything that a workflow waits for after a turn.

    *replies*: those to the *requests*. *children*: those that have ended, too. *timers*: by name.
    *new_timers*: those that this turn set.
    """

    requests: PendingRequests
    replies: Replies
    answered: PendingRequests
    children: Mapping[str, ChildRun]
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
    if event.dataschema == sent.dataschema:
        return True
    asked, schema = Dataschema.parse(sent.dataschema), Dataschema.parse(event.dataschema)
    if asked is None or schema is None:
        return False
    return schema.uri == asked.uri and schema.version in (asked.version, WILDCARD)


def file_reply(record: Record | None, event: Event[Any]) -> Replies:
    """Return the replies of *record*, with *event* added if it answers a pending request.

    A signal may have the id of a request as its parent; it is no reply.
    """
    if record is None:
        return NO_REPLIES
    sent = None if event.parentid is None else record.pending_requests.get(event.parentid)
    if sent is None or not is_reply(sent, event):
        return record.replies
    return record.replies.add(event)


def next_requests(
    filed: Replies,
    current: Record,
    events: tuple[Event[Any], ...],
    outcome: TurnOutcome,
    services: Services,
    answers: Container[str] = (),
) -> PendingRequests:
    """Return the requests that the workflow waits for after a turn that sent *events*.

    *filed*: the replies, that of this turn included. *services*: those of the workflow. *answers*:
    the types of the events that answer a signal. Where the turn sends nothing the requests stay,
    the same object. Otherwise a request stays until it is answered or the workflow abandons it; of
    those that are one way the last stay. The TypeScript package starts a new set whenever a turn
    emits, and so loses the replies that are still to come.
    """
    sent = {
        event.id: make_request(
            event.to or "",
            event.type,
            event.dataschema or "",
            event.domain,
            _is_one_way(event, outcome, services),
        )
        for event in events
        if type(event.data) not in _WITHOUT_REPLY
        and event.type not in answers
        and not is_keyed(event)
        # Its answers go to none of the senders that share a run.
        and not (event.redirectto or "").startswith(KEYED_PREFIX)
    }
    if not sent and not outcome.abandoned_requests and not outcome.continued_as_new:
        return current.pending_requests
    requests = dict(current.pending_requests)
    for id_ in (*filed.requests, *outcome.abandoned_requests):
        requests.pop(id_, None)
    if outcome.continued_as_new:
        requests = {id_: open_ for id_, open_ in requests.items() if id_ in current.children}
    requests.update(sent)
    if any(request.is_one_way for request in sent.values()):
        # A child that was begun so is cancelled with its parent, and stays until it replies.
        children = current.children.keys() | {
            event.id for event in events if event.raw.get(PARENT_SUBJECT) == current.subject
        }
        one_way = [id_ for id_, it in requests.items() if it.is_one_way and id_ not in children]
        for id_ in one_way[: max(0, len(one_way) - ANSWERED_REQUESTS_MAX)]:
            del requests[id_]
    return FrozenDict(requests)


def _is_one_way(event: Event[Any], outcome: TurnOutcome, services: Services) -> bool:
    """Return whether the workflow waits for no reply to a request."""
    if outcome.requests is not None:
        # A request to several domains has one id for each.
        first, _, position = event.id.rpartition(".")
        first = first if position.isdigit() else event.id
        return event.id not in outcome.requests and first not in outcome.requests
    service = services.by_type.get(event.type)
    return service is not None and not service.emitted


def next_answered(
    handler: WorkflowHandler, current: Record, filed: Replies, pending: PendingRequests
) -> PendingRequests:
    """Return the requests whose further replies count, after a turn that leaves *pending* ones.

    A flow takes one reply for a request.
    """
    if isinstance(handler, FlowHandler):
        return EMPTY
    before = current.pending_requests
    if pending is before or not filed.requests:
        return current.answered_requests
    answered = dict(current.answered_requests)
    for id_ in filed.requests:
        if id_ in before and id_ not in pending:
            answered[id_] = before[id_]
    excess = len(answered) - min(ANSWERED_REQUESTS_MAX, _children_max(handler))
    for id_ in [*islice(answered, excess)] if excess > 0 else ():
        del answered[id_]
    return FrozenDict(answered)


def next_children(
    handler: WorkflowHandler,
    current: Record,
    requests: PendingRequests,
    replies: Replies,
    events: tuple[Event[Any], ...],
) -> Mapping[str, ChildRun]:
    """Add the workflows that *events* start; drop the oldest finished ones that are too many."""
    started = {}
    for event in events:
        if event.raw.get(PARENT_SUBJECT) == current.subject:
            started[event.id] = ChildRun(event.subject, event.dataschema or "", event.domain)
    if not started:
        return current.children
    children = {**current.children, **started}
    excess = len(children) - _children_max(handler)
    if excess > 0:
        open_ids = requests.keys() - replies.requests
        finished = [id_ for id_ in children if id_ not in started and id_ not in open_ids]
        for id_ in finished[:excess]:
            del children[id_]
    return FrozenDict(children)


def _children_max(handler: WorkflowHandler) -> int:
    own = handler.children_max if isinstance(handler, Resumable) else None
    return CHILDREN_MAX if own is None else own


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
