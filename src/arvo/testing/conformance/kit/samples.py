"""Samples: simple events, records and commits for conformance tests."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import evolve

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event
from arvo.core.events.identity import ID_REUSE_POLICY, IdReusePolicy
from arvo.core.events.protocol import Timer
from arvo.core.events.subject import Subject
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.record import Record
from arvo.core.replies import NO_REPLIES
from arvo.core.requests import ChildRun, SentRequest
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler
from arvo.interpreters.ports.messages import (
    OUTBOUND_QUEUE,
    REPLY_QUEUE,
    DeadLetter,
    Delivery,
    Destination,
    Message,
)

WORKFLOW: Final = "arvo.orc.kit.workflow"
SERVICE: Final = "com.kit.service"
CLIENT: Final = "com.kit.client"
TIME: Final = "2026-01-02T03:04:05.000+00:00"
# With the flag of a random trace id, and spaces that are no part of a value: a backend keeps both.
TRACEPARENT: Final = f"00-{7:032x}-{8:016x}-03"
TRACESTATE: Final = "rojo=00f067aa0ba902b7 , congo=t61rcWkgMzE"
QUEUES: Final = (WORKFLOW, SERVICE, OUTBOUND_QUEUE, REPLY_QUEUE)


def subject(run: str = "one") -> str:
    """Return the subject of a run of the kit's workflow."""
    return str(Subject.new(WORKFLOW, "1.0.0", initiator=CLIENT, id=run))


def event(key: str, run: str = "one", data: Any = None, **attributes: Any) -> Event[Any]:
    """Make an event of a run, as an observed system emits it: equal arguments make equal events."""
    options = {
        "source": CLIENT,
        "type": "com.kit.event",
        "subject": subject(run),
        "traceparent": TRACEPARENT,
        "tracestate": TRACESTATE,
        **attributes,
    }
    return Event(
        id=key, time=TIME, to=WORKFLOW, data={"key": key} if data is None else data, **options
    )


def to_workflow(key: str, run: str = "one", **attributes: Any) -> Message:
    """Make a message to a run of the workflow, which handles one event at a time, in order."""
    sent = event(key, run, **attributes)
    return Message(sent, ToHandler(WORKFLOW, sent.subject))


def to_begin(
    key: str, run: str = "one", initiator: str = CLIENT, policy: IdReusePolicy = "reject"
) -> Message:
    """Make a message that begins a run whose workflow id was chosen: *run*."""
    sent = event(
        key,
        type=WORKFLOW,
        source=initiator,
        subject=str(Subject.new(WORKFLOW, "1.0.0", initiator=initiator, id=run)),
        extensions={ID_REUSE_POLICY: policy},
    )
    return Message(sent, ToHandler(WORKFLOW, sent.subject))


def begin_commit(delivery: Delivery, **changes: Any) -> Commit:
    """Make the commit of the first turn of a run that `to_begin` begins."""
    begin = delivery.message.event
    return turn_commit(delivery, 1, **{"subject": begin.subject, "init": begin.id, **changes})


def to_service(key: str, **attributes: Any) -> Message:
    """Make a message to the service, which handles several events at a time."""
    return Message(event(key, **attributes), ToHandler(SERVICE, None))


def to_domain(key: str) -> Message:
    """Make a message that leaves the system by a domain."""
    return Message(event(key, domain="review"), ToDomain("review"))


def to_caller(key: str) -> Message:
    """Make a message that returns to the caller of a request."""
    return Message(event(key), ToCaller(CLIENT))


def record(revision: int, run: str = "one", state: Any = None, **changes: Any) -> Record:
    """Make the record of a run after its *revision*-th turn."""
    fields = {
        "subject": subject(run),
        "handler": WORKFLOW,
        "version": "1.0.0",
        "revision": revision,
        "status": "active",
        "init": "begin",
        "state": {"turns": revision} if state is None else state,
        "consumed": f"turn-{revision}",
    }
    return Record.from_dict({**_EMPTY, **fields, **changes})


def grow(before: Record) -> Record:
    """Return a record after the next turn of a workflow that collects, and begins anew at times."""
    id_ = f"turn-{before.revision}"
    entry = FrozenDict({"type": SERVICE, "data": {"text": id_ * 20}})
    after = evolve(before, revision=before.revision + 1, consumed=id_)
    match before.revision % 5:
        case 0:
            unanswered = {asked: before.pending_requests[asked] for asked in before.unanswered}
            sent = {f"{id_}.{place}": _REQUEST for place in range(3)}
            pending = FrozenDict({**unanswered, **sent})
            return evolve(after, pending_requests=pending, replies=NO_REPLIES, produced=tuple(sent))
        case 1:
            children = {**before.children, id_: ChildRun(subject(id_), "#/kit/1.0.0")}
            timers = {id_: Timer(id_, TIME, entry)}
            return evolve(after, children=FrozenDict(children), timers=FrozenDict(timers))
        case 2:
            journal = () if before.revision % 20 == 2 else before.journal
            return evolve(after, journal=(*journal, entry))
        case 3:
            return evolve(after, compensations=(*before.compensations, entry, entry))
        case _:
            asked = next(iter(before.unanswered), None)
            reply = event(id_, type="com.kit.reply", parentid=asked)
            return after if asked is None else evolve(after, replies=before.replies.add(reply))


_REQUEST: Final = SentRequest(SERVICE, SERVICE, "#/kit/1.0.0")


_EMPTY: Final[dict[str, Any]] = {
    "journal": [],
    "parent": None,
    "children": {},
    "pending_requests": {},
    "answered_requests": {},
    "timers": {},
    "compensations": [],
    "produced": [],
    "failure": None,
}


def turn_commit(
    delivery: Delivery,
    revision: int,
    *,
    run: str = "one",
    messages: Sequence[Message] = (),
    timers: Sequence[PendingTimer] = (),
    **changes: Any,
) -> Commit:
    """Make the commit of a turn that writes *revision*, decided on the revision before it."""
    return Commit(
        handler=WORKFLOW,
        event=delivery.message.event,
        expected=revision - 1,
        record=record(revision, run, **changes),
        events=tuple(message.event for message in messages),
        timers=tuple(timers),
    )


def service_commit(delivery: Delivery, messages: Sequence[Message] = ()) -> Commit:
    """Make the commit of a service, which has no record."""
    return Commit(
        handler=SERVICE,
        event=delivery.message.event,
        events=tuple(message.event for message in messages),
    )


def timer(key: str, seconds: float, run: str = "one") -> PendingTimer:
    """Make a timer that is due in *seconds*."""
    due = datetime.now(UTC) + timedelta(seconds=seconds)
    return PendingTimer(event(key, run, type=f"sys.{WORKFLOW}.due"), due)


def recent(seconds: float = 0.0) -> str:
    """Return a time of this test run: a backend removes dead letters that are too old."""
    return (_STARTED + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


_STARTED: Final = datetime.now(UTC)


def dead_letter(
    key: str, failed: Event[Any], to: Destination | None = None, at: str | None = None
) -> DeadLetter:
    """Make a dead letter of the event *failed*."""
    at = recent() if at is None else at
    return DeadLetter(id=key, event=failed, reason=f"because of {key}", attempts=3, at=at, to=to)
