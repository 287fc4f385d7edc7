"""Samples: events, records and commits for conformance tests, as plain as can be."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event
from arvo.core.events.subject import Subject
from arvo.core.record import Record
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler
from arvo.interpreters.ports.backend import (
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


def subject(name: str = "one") -> str:
    """Name a run of the kit's workflow."""
    return str(Subject.new(WORKFLOW, "1.0.0", initiator=CLIENT, id=name))


def event(key: str, run: str = "one", data: Any = None, **attributes: Any) -> Event[Any]:
    """Make an event of a run; the same arguments make the same event."""
    given = {"source": CLIENT, "type": "com.kit.said", "subject": subject(run), **attributes}
    return Event(
        id=key, time=TIME, to=WORKFLOW, data={"key": key} if data is None else data, **given
    )


def to_workflow(key: str, run: str = "one", **attributes: Any) -> Message:
    """Post an event to a run of the workflow: one at a time, in order."""
    said = event(key, run, **attributes)
    return Message(said, ToHandler(WORKFLOW, said.subject))


def to_service(key: str, **attributes: Any) -> Message:
    """Post an event to the service, which takes several at a time."""
    return Message(event(key, **attributes), ToHandler(SERVICE, None))


def record(revision: int, run: str = "one", state: Any = None, **changes: Any) -> Record:
    """Make the record that the *revision*-th turn of a run leaves."""
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


_EMPTY: Final[dict[str, Any]] = {
    "journal": [],
    "parent": None,
    "children": {},
    "pending_requests": {},
    "timers": {},
    "compensations": [],
    "produced": [],
    "failure": None,
}


def turn(
    delivery: Delivery,
    revision: int,
    *,
    run: str = "one",
    messages: Sequence[Message] = (),
    timers: Sequence[PendingTimer] = (),
    **changes: Any,
) -> Commit:
    """Make the commit of a turn that leaves that revision, decided on the one before."""
    said = delivery.message.event
    return Commit(
        handler=WORKFLOW,
        event=said,
        expected=revision - 1,
        record=record(revision, run, **changes),
        events=tuple(message.event for message in messages),
        timers=tuple(timers),
    )


def answer(delivery: Delivery, messages: Sequence[Message] = ()) -> Commit:
    """Make the commit of a service, which remembers nothing."""
    said = delivery.message.event
    return Commit(handler=SERVICE, event=said, events=tuple(message.event for message in messages))


def alarm(key: str, seconds: float, run: str = "one") -> PendingTimer:
    """Make an alarm that is due in some seconds."""
    due = datetime.now(UTC) + timedelta(seconds=seconds)
    return PendingTimer(event(key, run, type=f"sys.{WORKFLOW}.due"), due)


def letter(key: str, said: Event[Any], to: Destination | None = None, at: str = TIME) -> DeadLetter:
    """Make a dead letter."""
    return DeadLetter(id=key, event=said, reason=f"because of {key}", attempts=3, at=at, to=to)


def to_outside(key: str) -> Message:
    """Post an event that leaves by a domain."""
    return Message(event(key, domain="desk"), ToDomain("desk"))


def to_home(key: str) -> Message:
    """Post an event that goes back to whoever asked."""
    return Message(event(key), ToCaller(CLIENT))


LANES: Final = (WORKFLOW, SERVICE, OUTBOUND_QUEUE, REPLY_QUEUE)
