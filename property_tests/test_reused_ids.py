"""Laws of reused ids: the first event of an id counts, and another one is never taken for it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytest
from attrs import evolve, frozen
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import Backend, Event, InMemoryMachineMemory, MemoryBackend, MemoryBroker, paired
from arvo.core.events.digest import INBOX_DIGITS, content_digest, inbox_digest
from arvo.interpreters.ports.backend import FindsRefusals
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.ports.results import (
    CommitResult,
    Committed,
    Duplicate,
    IdReused,
)
from arvo.interpreters.sqlite import SqliteBackend
from arvo.testing import events
from arvo.testing.conformance.kit.samples import (
    SERVICE,
    WORKFLOW,
    service_commit,
    to_service,
    to_workflow,
    turn_commit,
)

# What a sender may change when it sends an event again.
RESENT: dict[str, Any] = {
    "time": "2026-02-03T04:05:06Z",
    "traceparent": "00-1-2-01",
    "tracestate": "a=b",
    "accesscontrol": "admin",
    "executionunits": 3.0,
}
# What makes another event of it.
CHANGED: dict[str, Any] = {
    "type": "com.kit.another",
    "source": "com.kit.other",
    "subject": "another",
    "to": "com.kit.another",
    "redirectto": "com.kit.another",
    "parentid": "another",
    "domain": "another",
    "dataschema": "#/another/1.0.0",
}

Kind = Literal["memory", "sqlite", "pair"]


@frozen
class Sent:
    """One event of the sequence: its id and content, and whether it was sent before."""

    is_turn: bool
    id: str
    source: str
    content: int
    is_resent: bool

    @property
    def message(self) -> Message:
        make = to_workflow if self.is_turn else to_service
        resent = {"traceparent": RESENT["traceparent"]} if self.is_resent else {}
        return make(self.id, source=self.source, data={"content": self.content}, **resent)


SENT = st.builds(
    Sent,
    st.booleans(),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["com.kit.client", "com.kit.other"]),
    st.sampled_from([1, 2]),
    st.booleans(),
)


def expected(sent: Sequence[Sent]) -> list[CommitResult]:
    """Return the results by the rule: the first event of a handler, source and id counts."""
    first: dict[tuple[bool, str, str], int] = {}
    results: list[CommitResult] = []
    for each in sent:
        key = each.is_turn, each.source, each.id
        if key not in first:
            first[key] = each.content
            results.append(Committed())
        else:
            results.append(Duplicate() if first[key] == each.content else IdReused())
    return results


async def consume(backend: Backend, sent: Sequence[Sent]) -> list[CommitResult]:
    """Process the events one by one; what is refused becomes no turn."""
    results: list[CommitResult] = []
    revision = 0
    for each in sent:
        await backend.send(each.message)
        delivery = await backend.receive(WORKFLOW if each.is_turn else SERVICE)
        commit = turn_commit(delivery, revision + 1) if each.is_turn else service_commit(delivery)
        assert isinstance(backend, FindsRefusals)
        refusal = await backend.find_refusal(delivery, revision if each.is_turn else None)
        results.append(await backend.commit(delivery, commit, [], []))
        assert (refusal or Committed()) == results[-1]
        revision += each.is_turn and results[-1] == Committed()
        if results[-1] == IdReused():
            await backend.ack(delivery)
    assert (await backend.depth()).total == 0
    await backend.close()
    return results


def open_backend(kind: Kind, folder: str) -> Backend:
    match kind:
        case "memory":
            return MemoryBackend()
        case "sqlite":
            return SqliteBackend(str(Path(folder) / "arvo.db"))
        case "pair":
            return paired(InMemoryMachineMemory(), MemoryBroker())


@pytest.mark.promise("I2")
@pytest.mark.parametrize("kind", ["memory", "sqlite", "pair"])
@given(sent=st.lists(SENT, max_size=8))
def test_the_first_event_of_an_id_counts(kind: Kind, sent: list[Sent]) -> None:
    """I2: the same event is a duplicate of it, and another one is refused."""

    async def go(folder: str) -> list[CommitResult]:
        async with asyncio.timeout(60):
            return await consume(open_backend(kind, folder), sent)

    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        results = asyncio.run(go(folder))

    note(f"refused: {IdReused() in results}")
    assert results == expected(sent)


@pytest.mark.promise("I2")
@given(events())
def test_an_event_has_the_same_digest_on_every_way(event: Event[Any]) -> None:
    """I2: over any wire, from any store, and however its attributes came to be."""
    digest = inbox_digest(event)

    assert inbox_digest(Event.parse(event.to_json())) == digest
    assert inbox_digest(event.with_payload(object(), event.raw)) == digest
    assert inbox_digest(evolve(event, **RESENT)) == digest
    assert content_digest(event).startswith(digest)
    assert len(digest) == INBOX_DIGITS


@pytest.mark.promise("I2")
@given(events(), st.sampled_from(sorted(CHANGED)))
def test_another_event_has_another_digest(event: Event[Any], name: str) -> None:
    """I2: each attribute that says something, and the data."""
    changed = Event.from_dict({**event.to_dict(), name: CHANGED[name]})
    other = Event.from_dict({**event.to_dict(), "data": {"another": event.raw}})

    assert (inbox_digest(changed) == inbox_digest(event)) == (changed == event)
    assert inbox_digest(other) != inbox_digest(event)
