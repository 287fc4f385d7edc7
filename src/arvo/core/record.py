"""Record: what is remembered of one workflow between its turns."""

from collections.abc import Mapping, Sequence
from itertools import count
from types import NoneType
from typing import Any, Final, Literal, TypeAlias, TypeVar, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.events.fault import FAULT, SystemFault
from arvo.core.events.protocol import Timer
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.payloads.json import Json, freeze
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, Issues, short
from arvo.core.violations.violation import ExecutionViolation, Violated

Status: TypeAlias = Literal["active", "done", "failed", "cancelled"]
STATUSES: Final[tuple[str, ...]] = ("active", "done", "failed", "cancelled")


@final
@frozen
class ChildRun:
    """A workflow that this one began: its subject, its contract's dataschema, and the domain that
    its first event left by.
    """

    subject: str
    dataschema: str
    domain: str | None = None


@final
@frozen(kw_only=True)
class Record:
    """One workflow as its last turn left it; plain data, so that any store can hold it.

    *subject*: which run. *handler*: the address of its handler. *version*: the contract version it
    stays on. *revision*: how many turns have changed it, 1 after the first: what compare-and-set
    compares. *state*: what the handler persisted, as JSON. *journal*: what a flow was told so far,
    as JSON, oldest first; a turn appends, or begins it anew. *parent*: the subject on whose behalf
    it runs. *children*: the workflows it began, by the id of the event that did. *init*: the id of
    the event that began it. *awaited*: for each event it sent, by id, the replies that came.
    *timers*: those it waits for, by name. *undos*: the events that would undo what it did, oldest
    first, as JSON. *consumed*, *produced*: ids of its last turn. *failure*: why it failed; state,
    journal, awaited and timers are then still those of its last good turn (promise I9).
    *revivals*: how often it was revived after a failure. One that failed in its first turn has no
    *init* when it is revived: it waits for the event that begins it.
    """

    subject: str
    handler: str
    version: str
    revision: int
    status: Status
    init: str
    state: Json = None
    journal: tuple[Any, ...] = ()
    parent: str | None = None
    children: Mapping[str, ChildRun] = EMPTY
    pending_requests: Mapping[str, tuple[Event[Any], ...]] = EMPTY
    timers: Mapping[str, Timer] = EMPTY
    compensations: tuple[FrozenDict, ...] = ()
    consumed: str
    produced: tuple[str, ...] = ()
    failure: SystemFault | None = None
    revivals: int = 0

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The ids of the events that no reply has come to, oldest first."""
        return tuple(id_ for id_, replies in self.pending_requests.items() if not replies)

    def to_dict(self) -> dict[str, Any]:
        """Say the record as JSON data."""
        failure = self.failure
        return {
            "subject": self.subject,
            "handler": self.handler,
            "version": self.version,
            "revision": self.revision,
            "status": self.status,
            "init": self.init,
            "state": self.state,
            "journal": list(self.journal),
            "parent": self.parent,
            "children": {
                id_: {
                    "subject": child.subject,
                    "dataschema": child.dataschema,
                    "domain": child.domain,
                }
                for id_, child in self.children.items()
            },
            "pending_requests": {
                id_: [event.to_dict() for event in replies]
                for id_, replies in self.pending_requests.items()
            },
            "timers": {
                name: {"id": timer.id, "at": timer.at, "payload": timer.payload}
                for name, timer in self.timers.items()
            },
            "compensations": list(self.compensations),
            "consumed": self.consumed,
            "produced": list(self.produced),
            "failure": None if failure is None else FAULT.write(failure),
            "revivals": self.revivals,
        }

    @staticmethod
    def from_dict(content: object) -> "Record":
        """Read a record that `to_dict` said; raises `Violated` that names what does not fit."""
        content = _checked(content)
        failure = content["failure"]
        return Record(
            subject=content["subject"],
            handler=content["handler"],
            version=content["version"],
            revision=content["revision"],
            status=content["status"],
            init=content["init"],
            state=_frozen(content["state"], "state"),
            journal=_lines(content["journal"], "journal"),
            parent=content["parent"],
            children=_each(ChildRun, content["children"], "children"),
            pending_requests=FrozenDict(
                {
                    id_: tuple(map(Event.from_dict, replies))
                    for id_, replies in content["pending_requests"].items()
                }
            ),
            timers=_each(Timer, content["timers"], "timers"),
            compensations=tuple(
                map(_undo, _lines(content["compensations"], "compensations"), count())
            ),
            consumed=content["consumed"],
            produced=tuple(content["produced"]),
            failure=None if failure is None else _fault(failure),
            revivals=content.get("revivals", 0),
        )


# Each key, what it holds, and how to say so.
_SHAPE: Final[tuple[tuple[str, type | tuple[type, ...], str], ...]] = (
    ("subject", str, "a text"),
    ("handler", str, "a text"),
    ("version", str, "a text"),
    ("revision", int, "a whole number"),
    ("status", str, f"one of {', '.join(STATUSES)}"),
    ("init", str, "a text"),
    ("state", object, "a value"),
    ("journal", (list, tuple), "a list"),
    ("parent", (str, NoneType), "a text or nothing"),
    ("children", Mapping, "an object of children"),
    ("pending_requests", Mapping, "an object of lists of events"),
    ("timers", Mapping, "an object of timers"),
    ("compensations", (list, tuple), "a list of events"),
    ("consumed", str, "a text"),
    ("produced", (list, tuple), "a list of ids"),
    ("failure", (Mapping, NoneType), "an object or nothing"),
)


def _checked(content: object) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise _no_record(Issue("record", "an object", short(content)))
    issues = [
        Issue(f"record.{key}", expected, short(content[key]) if key in content else "nothing")
        for key, kind, expected in _SHAPE
        if key not in content or not isinstance(content[key], kind)
    ]
    revivals = content.get("revivals", 0)
    if not isinstance(revivals, int):
        # It came later than the others: a record that was written before lacks it.
        issues.append(Issue("record.revivals", "a whole number", short(revivals)))
    if not issues:
        if content["status"] not in STATUSES:
            expected = f"one of {', '.join(STATUSES)}"
            issues += [Issue("record.status", expected, short(content["status"]))]
        issues += [
            Issue(f"record.pending_requests.{id_}", "a list of events", short(replies))
            for id_, replies in content["pending_requests"].items()
            if not isinstance(replies, list | tuple)
        ]
    if issues:
        raise _no_record(*issues)
    return content


def _frozen(value: object, key: str) -> Any:
    # A handler without a state class is handed this very object (B14).
    frozen_value = freeze(value, f"record.{key}")
    if isinstance(frozen_value, Issues):
        raise _no_record(*frozen_value.items)
    return frozen_value


def _lines(values: Sequence[Any], key: str) -> tuple[Any, ...]:
    # Each by itself: it may nest as deep as data may.
    return tuple(_frozen(value, f"{key}[{position}]") for position, value in enumerate(values))


_T = TypeVar("_T", ChildRun, Timer)


def _each(kind: type[_T], content: Mapping[str, Any], key: str) -> Mapping[str, _T]:
    read: dict[str, _T] = {}
    for name, said in content.items():
        found = Payload.of(kind).read(said, f"record.{key}.{name}")
        if isinstance(found, Issues):
            raise _no_record(*found.items)
        read[name] = found
    return FrozenDict(read)


def _undo(said: object, position: int) -> FrozenDict:
    if isinstance(said, FrozenDict) and isinstance(said.get("type"), str) and "data" in said:
        return said
    raise _no_record(
        Issue(f"record.compensations[{position}]", "an event's type and data", short(said))
    )


def _fault(failure: Mapping[str, Any]) -> SystemFault:
    fault = FAULT.read(failure, "record.failure")
    if isinstance(fault, Issues):
        raise _no_record(*fault.items)
    return fault


def _no_record(*issues: Issue) -> Violated:
    return Violated(ExecutionViolation("what is remembered cannot be read", issues))
