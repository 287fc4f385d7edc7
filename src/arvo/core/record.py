"""Record: what is remembered of one workflow between its turns."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, final

from attrs import frozen

from arvo.core.event import Event
from arvo.core.fault import FAULT, SystemFault
from arvo.core.frozen import EMPTY, FrozenDict
from arvo.core.json import Json

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
    def from_dict(content: Mapping[str, Any]) -> "Record":
        """Read a record that `to_dict` said; a KeyError or `Violated` means it is not one."""
        failure = content["failure"]
        return Record(
            subject=content["subject"],
            handler=content["handler"],
            version=content["version"],
            revision=content["revision"],
            status=content["status"],
            init=content["init"],
            state=content["state"],
            parent=content["parent"],
            awaited=FrozenDict(
                {
                    id_: tuple(map(Event.from_dict, replies))
                    for id_, replies in content["awaited"].items()
                }
            ),
            consumed=content["consumed"],
            produced=tuple(content["produced"]),
            failure=None if failure is None else SystemFault(**failure),
        )
