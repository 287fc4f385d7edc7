"""Record: the state of one workflow between its turns."""

from collections.abc import Mapping, Sequence
from itertools import count
from types import NoneType
from typing import Any, Final, Literal, TypeAlias, TypeVar, final

from attrs import frozen

from arvo.construct import constructor, evolver
from arvo.core.events.event import Event
from arvo.core.events.protocol import FAULT, SystemFault, Timer
from arvo.core.labels import read_labels
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.payloads.json_data import Json, freeze
from arvo.core.payloads.payload import Payload
from arvo.core.replies import NO_REPLIES, Replies
from arvo.core.requests import (
    ChildRun,
    SentRequest,
    is_request,
    read_requests,
    write_child,
    write_request,
)
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violated

Status: TypeAlias = Literal["active", "done", "failed", "cancelled"]
STATUSES: Final[tuple[str, ...]] = ("active", "done", "failed", "cancelled")
# A failed workflow has not ended in this sense: an operator may revive it.
ENDED_STATUSES: Final[tuple[Status, ...]] = ("done", "cancelled")
LASTING_STATUSES: Final[tuple[Status, ...]] = ("active", "failed")


@final
@frozen(kw_only=True, weakref_slot=False)
class Record:
    """One workflow after its last turn; plain data, so that any store can hold it.

    *subject*: identifies the run. *handler*: the address of its handler. *version*: the contract
    version it runs on. *revision*: the number of turns that changed it, 1 after the first; the
    value that compare-and-set compares. *state*: the handler's persisted state, as JSON. *journal*:
    the inputs of a flow so far, as JSON, oldest first; a turn appends to it or starts it anew.
    *parent*: the subject of the parent workflow. *children*: the child workflows, by the id of
    their init event. *init*: the id of the event that began the workflow. *init_digest*: the digest
    of its content, empty in records of earlier versions. *pending_requests*: the requests it waits
    for, by the id of their event. *replies*: the replies to them so far. *answered_requests*: the
    last answered ones, by id, for a service may reply more than once. *timers*: the pending timers,
    by name. *compensations*: the compensation requests, oldest first, as JSON. *consumed*,
    *produced*: the event ids of the last turn. *failure*: why it failed; state, journal, pending
    requests and timers are then those of its last good turn (promise I9). *late_replies*: how many
    of the last *replies* came after the failure; they count once it is revived. *revivals*: how
    often it was revived after a failure. *labels*: those that its handler computed from the state,
    by name. A workflow that failed in its first turn has an empty *init* once it is revived: it
    waits for its init event.
    """

    subject: str
    handler: str
    version: str
    revision: int
    status: Status
    init: str
    init_digest: str = ""
    state: Json = None
    journal: tuple[Any, ...] = ()
    parent: str | None = None
    children: Mapping[str, ChildRun] = EMPTY
    pending_requests: Mapping[str, SentRequest] = EMPTY
    replies: Replies = NO_REPLIES
    answered_requests: Mapping[str, SentRequest] = EMPTY
    timers: Mapping[str, Timer] = EMPTY
    compensations: tuple[FrozenDict, ...] = ()
    consumed: str
    produced: tuple[str, ...] = ()
    failure: SystemFault | None = None
    late_replies: int = 0
    revivals: int = 0
    labels: FrozenDict = EMPTY

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The ids of the events without a reply, oldest first."""
        answered = self.replies.requests
        return tuple(id_ for id_ in self.pending_requests if id_ not in answered)

    @property
    def open_requests(self) -> tuple[str, ...]:
        """The ids of the requests whose replies it waits for: none once it has ended or failed."""
        if self.status != "active":
            return ()
        return tuple(id_ for id_ in self.unanswered if not self.pending_requests[id_].is_one_way)

    @property
    def open_children(self) -> tuple[str, ...]:
        """The ids of the events that began the children without a reply, oldest first."""
        return tuple(id_ for id_ in self.unanswered if id_ in self.children)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON data."""
        return {
            "subject": self.subject,
            "handler": self.handler,
            "version": self.version,
            "revision": self.revision,
            "status": self.status,
            "init": self.init,
            "init_digest": self.init_digest,
            "state": self.state,
            "journal": list(self.journal),
            "parent": self.parent,
            "children": {id_: write_child(child) for id_, child in self.children.items()},
            "pending_requests": {
                id_: write_request(sent) for id_, sent in self.pending_requests.items()
            },
            "replies": [event.to_dict() for event in self.replies.events],
            "answered_requests": {
                id_: write_request(sent) for id_, sent in self.answered_requests.items()
            },
            "timers": {name: write_timer(timer) for name, timer in self.timers.items()},
            "compensations": list(self.compensations),
            "consumed": self.consumed,
            "produced": list(self.produced),
            "failure": write_fault(self.failure),
            "late_replies": self.late_replies,
            "revivals": self.revivals,
            "labels": self.labels,
        }

    @staticmethod
    def from_dict(content: object) -> "Record":
        """Read the result of `to_dict`; raises `Violated`, which names each invalid key."""
        content = _validate(content)
        failure = content["failure"]
        return Record(
            subject=content["subject"],
            handler=content["handler"],
            version=content["version"],
            revision=content["revision"],
            status=content["status"],
            init=content["init"],
            init_digest=content.get("init_digest", ""),
            state=_freeze(content["state"], "state"),
            journal=_freeze_all(content["journal"], "journal"),
            parent=content["parent"],
            children=_read_values(ChildRun, content["children"], "children"),
            pending_requests=read_requests(content["pending_requests"]),
            replies=Replies(tuple(map(Event.from_dict, _replies(content)))),
            answered_requests=read_requests(content["answered_requests"]),
            timers=_read_values(Timer, content["timers"], "timers"),
            compensations=tuple(
                map(
                    _compensation,
                    _freeze_all(content["compensations"], "compensations"),
                    count(),
                )
            ),
            consumed=content["consumed"],
            produced=tuple(content["produced"]),
            failure=None if failure is None else _read_fault(failure),
            late_replies=content.get("late_replies", 0),
            revivals=content.get("revivals", 0),
            labels=_read_labels(content.get("labels", EMPTY)),
        )


make_record: Final = constructor(Record)
evolve_record: Final = evolver(
    Record,
    *("revision", "state", "journal", "status", "failure", "children", "pending_requests"),
    *("replies", "answered_requests", "timers", "compensations", "consumed", "produced"),
)

# Each key, the type of its value, and the type in words.
_SHAPE: Final[tuple[tuple[str, type | tuple[type, ...], str], ...]] = (
    ("subject", str, "a string"),
    ("handler", str, "a string"),
    ("version", str, "a string"),
    ("revision", int, "a whole number"),
    ("status", str, f"one of {', '.join(STATUSES)}"),
    ("init", str, "a string"),
    ("state", object, "a value"),
    ("journal", (list, tuple), "a list"),
    ("parent", (str, NoneType), "a string or nothing"),
    ("children", Mapping, "an object of children"),
    ("pending_requests", Mapping, "an object of requests"),
    ("answered_requests", Mapping, "an object of requests"),
    ("timers", Mapping, "an object of timers"),
    ("compensations", (list, tuple), "a list of events"),
    ("consumed", str, "a string"),
    ("produced", (list, tuple), "a list of ids"),
    ("failure", (Mapping, NoneType), "an object or nothing"),
)

# Records of earlier versions lack these keys.
_OPTIONAL: Final = (
    ("late_replies", int, "a whole number"),
    ("revivals", int, "a whole number"),
    ("init_digest", str, "a string"),
    ("replies", (list, tuple), "a list of events"),
    ("labels", Mapping, "an object of labels"),
)


def _validate(content: object) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise _unreadable(Issue("record", "an object", short_repr(content)))
    issues = [
        Issue(f"record.{key}", expected, short_repr(content[key]) if key in content else "nothing")
        for key, kind, expected in _SHAPE
        if key not in content or not isinstance(content[key], kind)
    ]
    issues += [
        Issue(f"record.{key}", expected, short_repr(content[key]))
        for key, kind, expected in _OPTIONAL
        if key in content and not isinstance(content[key], kind)
    ]
    if not issues:
        if content["status"] not in STATUSES:
            expected = f"one of {', '.join(STATUSES)}"
            issues += [Issue("record.status", expected, short_repr(content["status"]))]
        issues += [
            Issue(f"record.{key}.{id_}", "a request", short_repr(sent))
            for key in ("pending_requests", "answered_requests")
            for id_, sent in content[key].items()
            if not is_request(sent)
        ]
    if issues:
        raise _unreadable(*issues)
    return content


def write_timer(timer: Timer) -> dict[str, Any]:
    """Return a timer as JSON data."""
    return {"id": timer.id, "at": timer.at, "payload": timer.payload}


def write_fault(fault: SystemFault | None) -> Any:
    """Return the reason of a failure as JSON data."""
    return None if fault is None else FAULT.write(fault)


def _replies(content: Mapping[str, Any]) -> Sequence[Any]:
    if "replies" in content:
        replies: Sequence[Any] = content["replies"]
        return replies
    # Each request held its replies in records of earlier versions.
    sent = content["pending_requests"].values()
    return [reply for request in sent for reply in request.get("replies", ())]


def _freeze(value: object, key: str) -> Any:
    # A handler without a state class gets this object itself, so it must be immutable.
    frozen_value = freeze(value, f"record.{key}")
    if isinstance(frozen_value, Issues):
        raise _unreadable(*frozen_value.items)
    return frozen_value


def _freeze_all(values: Sequence[Any], key: str) -> tuple[Any, ...]:
    # One by one, because each may nest as deep as data may.
    return tuple(_freeze(value, f"{key}[{position}]") for position, value in enumerate(values))


_T = TypeVar("_T", ChildRun, Timer)


def _read_values(kind: type[_T], content: Mapping[str, Any], key: str) -> Mapping[str, _T]:
    values: dict[str, _T] = {}
    for name, encoded in content.items():
        value = Payload.of(kind).read(encoded, f"record.{key}.{name}")
        if isinstance(value, Issues):
            raise _unreadable(*value.items)
        values[name] = value
    return FrozenDict(values)


def _read_labels(content: Mapping[str, Any]) -> FrozenDict:
    labels = read_labels(content)
    if isinstance(labels, Issues):
        raise _unreadable(*labels.items)
    return labels


def _compensation(value: object, position: int) -> FrozenDict:
    if isinstance(value, FrozenDict) and isinstance(value.get("type"), str) and "data" in value:
        return value
    raise _unreadable(
        Issue(f"record.compensations[{position}]", "an event's type and data", short_repr(value))
    )


def _read_fault(failure: Mapping[str, Any]) -> SystemFault:
    fault = FAULT.read(failure, "record.failure")
    if isinstance(fault, Issues):
        raise _unreadable(*fault.items)
    return fault


def _unreadable(*issues: Issue) -> Violated:
    return Violated(ExecutionViolation("unreadable record", issues))
