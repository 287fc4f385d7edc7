"""Record: what is remembered of one workflow between its turns."""

from collections.abc import Mapping
from types import NoneType
from typing import Any, Final, Literal, TypeAlias, final

from attrs import frozen

from arvo.core.event import Event
from arvo.core.fault import FAULT, SystemFault
from arvo.core.frozen import EMPTY, FrozenDict
from arvo.core.issue import Issue, Issues, short
from arvo.core.json import Json, freeze
from arvo.core.violation import ExecutionViolation, Violated

Status: TypeAlias = Literal["active", "done", "failed"]


@final
@frozen(kw_only=True)
class Record:
    """One workflow as its last turn left it; plain data, so that any store can hold it.

    *subject*: which run. *handler*: the address of its handler. *version*: the contract version it
    stays on. *revision*: how many turns have changed it, 1 after the first: what compare-and-set
    compares. *state*: what the handler persisted, as JSON. *parent*: the subject on whose behalf it
    runs. *init*: the id of the event that began it. *awaited*: for each event it sent, by id, the
    replies that came. *consumed*, *produced*: ids of its last turn. *failure*: why it failed; the
    state is then still that of its last good turn (promise I9).
    """

    subject: str
    handler: str
    version: str
    revision: int
    status: Status
    init: str
    state: Json = None
    parent: str | None = None
    awaited: Mapping[str, tuple[Event[Any], ...]] = EMPTY
    consumed: str
    produced: tuple[str, ...] = ()
    failure: SystemFault | None = None

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
            "parent": self.parent,
            "awaited": {
                id_: [event.to_dict() for event in replies] for id_, replies in self.awaited.items()
            },
            "consumed": self.consumed,
            "produced": list(self.produced),
            "failure": None if failure is None else FAULT.write(failure),
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
            state=content["state"] if content["state"] is None else _frozen(content["state"]),
            parent=content["parent"],
            awaited=FrozenDict(
                {
                    id_: tuple(map(Event.from_dict, replies))
                    for id_, replies in content["awaited"].items()
                }
            ),
            consumed=content["consumed"],
            produced=tuple(content["produced"]),
            failure=None if failure is None else _fault(failure),
        )


# Each key, what it holds, and how to say so.
_SHAPE: Final[tuple[tuple[str, type | tuple[type, ...], str], ...]] = (
    ("subject", str, "a text"),
    ("handler", str, "a text"),
    ("version", str, "a text"),
    ("revision", int, "a whole number"),
    ("status", str, "active, done or failed"),
    ("init", str, "a text"),
    ("state", object, "a value"),
    ("parent", (str, NoneType), "a text or nothing"),
    ("awaited", Mapping, "an object of lists of events"),
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
    if not issues:
        if content["status"] not in ("active", "done", "failed"):
            issues += [Issue("record.status", "active, done or failed", short(content["status"]))]
        issues += [
            Issue(f"record.awaited.{id_}", "a list of events", short(replies))
            for id_, replies in content["awaited"].items()
            if not isinstance(replies, list | tuple)
        ]
    if issues:
        raise _no_record(*issues)
    return content


def _frozen(state: object) -> Json:
    # A handler without a state class is handed this very object (B14).
    frozen_state = freeze(state, "record.state")
    if isinstance(frozen_state, Issues):
        raise _no_record(*frozen_state.items)
    return frozen_state


def _fault(failure: Mapping[str, Any]) -> SystemFault:
    fault = FAULT.read(failure, "record.failure")
    if isinstance(fault, Issues):
        raise _no_record(*fault.items)
    return fault


def _no_record(*issues: Issue) -> Violated:
    return Violated(ExecutionViolation("what is remembered cannot be read", issues))
