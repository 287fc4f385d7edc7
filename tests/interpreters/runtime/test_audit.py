"""Audit: each act of an operator is recorded with actor and reason, on each backend."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from arvo import (
    Backend,
    Client,
    InMemoryMachineMemory,
    MemoryBackend,
    Retention,
    Runtime,
    SqliteBackend,
    Violated,
    paired,
)
from arvo.interpreters.memory.broker import MemoryBroker
from arvo.interpreters.ports.audit import AuditEntry
from arvo.interpreters.postgres import PostgresBackend
from arvo.testing.conformance.kit.samples import subject
from tests.interpreters.inside import send_inside
from tests.interpreters.postgres.schemas import schema_url
from tests.interpreters.runtime.running import (
    reply_to_an_unknown_workflow,
    run_runtime,
    within,
)
from tests.shop import order_request, shop

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.mark.usefixtures("each_backend")
def test_every_act_is_listed_with_its_actor_and_reason() -> None:
    """In the order in which they came, also those that were refused afterwards."""

    async def work(runtime: Runtime) -> list[tuple[Any, ...]]:
        event = order_request("i2")
        await runtime.request(event, timeout=60)
        await send_inside(runtime, reply_to_an_unknown_workflow())
        await runtime.drain(timeout=60)
        (dead_letter,) = await runtime.dead_letters()
        await runtime.redrive_dead_letters(dry_run=True, actor="ann")
        await runtime.cancel(event.subject, "too late", actor="ann")
        await runtime.cancel(event.subject, "from its parent", by="a workflow", actor="ann")
        for act in (
            runtime.revive(event.subject, actor="bob", reason="try"),
            runtime.migrate(event.subject, to="2.0.0", actor="bob"),
        ):
            with pytest.raises(Violated):
                await act
        await runtime.delete_dead_letter(dead_letter.id, actor="cleo", reason="a test")
        entries = await runtime.audit_log()
        by_subject = await runtime.audit_log(workflow=event.subject)
        assert by_subject == tuple(each for each in entries if each.subject == event.subject)
        assert entries[-1].target not in (None, dead_letter.id)
        return [
            (each.verb, each.actor, each.reason, each.detail, each.target == dead_letter.id)
            for each in reversed(entries)
        ]

    assert run_runtime(shop, work)[0] == [
        ("cancel", "ann", "too late", "", False),
        ("revive", "bob", "try", "", False),
        ("migrate", "bob", "", "to 2.0.0", False),
        ("delete", "cleo", "a test", "", True),
    ]


@pytest.mark.parametrize("actor", ["a" * 1_001, "\ud800", 7])
def test_an_actor_that_is_no_short_text_is_refused(actor: Any) -> None:
    """Before anything is done."""

    async def work(runtime: Runtime) -> tuple[AuditEntry, ...]:
        with pytest.raises(Violated, match="actor: expected a text of at most 1000 characters"):
            await runtime.cancel(order_request().subject, "enough", actor=actor)
        return await runtime.audit_log()

    (entries, stats) = run_runtime(shop, work, backend=MemoryBackend())

    assert entries == ()
    assert stats.cancelled == 0


def backends(tmp_path: Path) -> dict[str, Backend]:
    """Return a backend of each kind that retains acts for a day."""
    retention = Retention(audit=timedelta(days=1))
    return {
        "memory": MemoryBackend(retention=retention),
        "sqlite": SqliteBackend(str(tmp_path / "a.db"), retention=retention),
        "postgres": PostgresBackend(schema_url(tmp_path), retention=retention),
        "pair": paired(InMemoryMachineMemory(), MemoryBroker(), retention=retention),
    }


@pytest.mark.parametrize("name", ["memory", "sqlite", "postgres", "pair"])
def test_acts_are_forgotten_when_their_time_is_over(name: str, tmp_path: Path) -> None:
    """The log does not grow for ever."""

    def act(hours: int) -> AuditEntry:
        at = NOW - timedelta(hours=hours)
        return AuditEntry(id=f"act-{hours}", at=at, verb="cancel", subject=subject())

    async def go() -> tuple[AuditEntry, ...]:
        backend = backends(tmp_path)[name]
        for hours in (25, 1, 0):
            await backend.record_act(act(hours))
        entries = await backend.audit_log()
        await backend.close()
        return entries

    assert within(go()) == (act(0), act(1))


def test_a_pair_says_that_it_cannot_list_workflows() -> None:
    """Without an index it has none: an act on many is refused, and so is a count of versions."""

    async def go() -> None:
        client = Client(shop, paired(InMemoryMachineMemory(), MemoryBroker()))
        for ask in (client.versions(), client.timers(), client.cancel_workflows("enough")):
            with pytest.raises(Violated, match="expected a pair with an index"):
                await ask

    within(go())
