"""Requests: the requests that a workflow has sent, and the child workflows that it has started."""

from collections.abc import Mapping
from typing import Any, Final, final

from attrs import frozen

from arvo.construct import constructor
from arvo.core.payloads.frozen_json import FrozenDict


@final
@frozen
class ChildRun:
    """A child workflow: its subject, its contract's dataschema, its init event's domain."""

    subject: str
    dataschema: str
    domain: str | None = None


@final
@frozen(weakref_slot=False)
class SentRequest:
    """A request that a workflow has sent.

    *to* is the address that was asked, *type* the event type of the request, *dataschema* the
    service's contract and version, *domain* the domain by which the request left the system.
    *is_one_way*: the workflow does not wait for a reply, though one may come.
    """

    to: str
    type: str
    dataschema: str
    domain: str | None = None
    is_one_way: bool = False


make_request: Final = constructor(SentRequest)


def write_child(child: ChildRun) -> dict[str, Any]:
    """Return a child workflow as JSON data."""
    return {"subject": child.subject, "dataschema": child.dataschema, "domain": child.domain}


def write_request(sent: SentRequest) -> dict[str, Any]:
    """Return a request as JSON data."""
    content: dict[str, Any] = {
        "to": sent.to,
        "type": sent.type,
        "dataschema": sent.dataschema,
        "domain": sent.domain,
    }
    if sent.is_one_way:
        content["is_one_way"] = True
    return content


def read_requests(content: Mapping[str, Any]) -> Mapping[str, SentRequest]:
    """Read requests by id; each must be one by `is_request`."""
    return FrozenDict(
        {
            id_: SentRequest(
                to=sent["to"],
                type=sent["type"],
                dataschema=sent["dataschema"],
                domain=sent["domain"],
                is_one_way=sent.get("is_one_way", False),
            )
            for id_, sent in content.items()
        }
    )


def is_request(sent: object) -> bool:
    """Return whether JSON data has the fields of a request."""
    return (
        isinstance(sent, Mapping)
        and all(isinstance(sent.get(name), str) for name in ("to", "type", "dataschema"))
        and isinstance(sent.get("domain"), str | None)
        and isinstance(sent.get("is_one_way", False), bool)
        and isinstance(sent.get("replies", ()), list | tuple)
    )
