"""Migrations: the tables are created once, in a schema of their own, and by no accident."""

import asyncio
from typing import Any

import asyncpg
import orjson
import pytest
from attrs import evolve

from arvo import Client, Record, Runtime
from arvo.core.payloads.json_data import freeze_unchecked
from arvo.interpreters.delivery.codec import encode_dead_letter
from arvo.interpreters.ports.errors import Corrupt
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.ports.results import CommitResult, Committed, Duplicate
from arvo.interpreters.postgres import PostgresBackend
from arvo.interpreters.postgres.connection.dsn import Dsn
from arvo.interpreters.postgres.connection.migrations import scripts
from arvo.testing.conformance.cancellations import to_cancel
from arvo.testing.conformance.kit.samples import (
    WORKFLOW,
    dead_letter,
    event,
    to_workflow,
    turn_commit,
)
from tests import servers
from tests.interpreters.postgres.schemas import execute
from tests.interpreters.within import within
from tests.shop import expect_commit, order_request, shop


async def journals_in_rows(url: str) -> None:
    """Bring the tables for records back to version 8."""
    await execute(url, "alter table arvo.workflow drop column workflow_id, drop column labels")
    await execute(url, "drop table arvo.record_log")
    await execute(url, "alter table arvo.workflow drop column room")
    await execute(
        url,
        "create table arvo.journal (workflow bigint not null, position bigint not null,"
        " line bytea not null, primary key (workflow, position))",
    )
    await execute(url, "delete from arvo.version where number > 8")


async def refused(url: str, message: str) -> None:
    """A backend raises `Corrupt` with this message."""
    backend = PostgresBackend(url)
    with pytest.raises(Corrupt, match=message):
        await backend.dead_letters()
    await backend.close()


def test_the_tables_lie_in_a_schema_of_their_own(url: str) -> None:
    """Next to other tables of the database, and several times in one database."""

    async def go() -> list[str]:
        async with Client(shop, url) as client:
            await client.workflows()
        connection = await asyncpg.connect(servers.postgres_url())
        rows = await connection.fetch(
            "select tablename from pg_tables where schemaname = $1 order by 1",
            Dsn.parse(url).schema,
        )
        await connection.close()
        return [row["tablename"] for row in rows]

    assert within(go()) == [
        "audit",
        "blob_owner",
        "dead_letter",
        "delivery",
        "history",
        "hold",
        "inbox",
        "memory",
        "record_log",
        "report",
        "report_reader",
        "timer",
        "version",
        "worker",
        "workflow",
    ]


def test_of_many_processes_that_start_together_one_creates_the_tables(url: str) -> None:
    """A deployment starts all its processes at the same time."""

    async def go() -> None:
        backends = [PostgresBackend(url) for _ in range(5)]
        assert await asyncio.gather(*(each.dead_letters() for each in backends)) == [()] * 5
        for backend in backends:
            await backend.close()

    within(go())


def test_with_migrate_no_the_tables_must_exist(url: str) -> None:
    """An operator migrates, with rights that the workers do not have."""

    async def go() -> None:
        await refused(f"{url}&migrate=no", "is not there: run arvo upgrade")
        dsn = Dsn.parse(url)
        await execute(url, f"create schema {dsn.schema};" + "".join(scripts(dsn)))
        backend = PostgresBackend(f"{url}&migrate=no")
        assert await backend.dead_letters() == ()
        await backend.close()

    within(go())


def test_tables_of_a_later_version_are_not_used(url: str) -> None:
    """An old process does not know what they mean."""

    async def go() -> None:
        backend = PostgresBackend(url)
        await backend.dead_letters()
        await backend.close()
        await execute(url, "insert into arvo.version select max(number) + 1 from arvo.version")
        await refused(url, "was made by a later arvo: upgrade")

    within(go())


def test_a_schema_of_another_program_is_not_used(url: str) -> None:
    """Its tables are not changed."""

    async def go() -> None:
        schema = Dsn.parse(url).schema
        await execute(url, f"create schema {schema}; create table {schema}.theirs (id integer)")
        await refused(url, "holds tables that are not ours: name another schema")

    within(go())


def test_dead_letters_of_the_version_before_are_listed(url: str) -> None:
    """They are listed by time and by subject as new ones are."""
    lost = dead_letter("lost", event("e1"))

    async def go() -> None:
        dsn = Dsn.parse(url)
        await execute(url, f"create schema {dsn.schema};" + "".join(scripts(dsn)[:5]))
        content = encode_dead_letter(lost).hex()
        insert = "insert into arvo.dead_letter (id, content) values ('lost', decode('HEX', 'hex'))"
        await execute(url, dsn.sql(insert).replace("HEX", content))
        backend = PostgresBackend(url)
        assert await backend.dead_letters(subject=lost.event.subject) == (lost,)
        assert await backend.dead_letters(subject="other") == ()
        assert await backend.dead_letters(after=lost) == ()
        (group,) = await backend.dead_letter_groups()
        assert (group.number, group.cause, group.type) == (1, lost.cause, lost.event.type)
        await backend.close()

    within(go())


def test_workflows_of_the_version_before_are_found_by_their_ids(url: str) -> None:
    """The upgrade reads the ids in their subjects, which SQL cannot."""

    async def go() -> None:
        async with Runtime(shop, url) as runtime:
            await runtime.request(order_request("order-1"), timeout=60)
        await execute(url, "alter table arvo.workflow drop column workflow_id, drop column labels")
        await execute(url, "delete from arvo.version where number > 9")
        async with Client(shop, url) as client:
            assert (await client.describe("order-1")).record.status == "done"

    within(go())


def test_a_cancellation_from_before_the_upgrade_is_pending(url: str) -> None:
    """It was accepted by a version that did not look for it."""
    begin, stop = to_workflow("begin"), to_cancel()

    async def go() -> bool:
        before = PostgresBackend(url)
        for message in (begin, stop):
            await before.send(message)
        await before.close()
        await journals_in_rows(url)
        await execute(url, "alter table arvo.delivery drop column cancels")
        await execute(url, "alter table arvo.inbox drop column content")
        await execute(url, "alter table arvo.dead_letter drop column at, drop column subject")
        identity = (
            "alter table arvo.dead_letter add column number bigint generated always as identity"
        )
        await execute(url, identity)
        await execute(url, "delete from arvo.version where number > 5")
        backend = PostgresBackend(url)
        delivery = await backend.receive(WORKFLOW)
        pending = await backend.pending_cancellation(delivery)
        await backend.close()
        return delivery.message == begin and pending == stop.event

    assert within(go())


def test_an_event_that_was_consumed_before_the_upgrade_has_no_conflict(url: str) -> None:
    """That version did not store what the event said."""

    async def consume(message: Message, revision: int) -> CommitResult:
        backend = PostgresBackend(url)
        await backend.send(message)
        delivery = await backend.receive(WORKFLOW)
        result = await backend.commit(delivery, turn_commit(delivery, revision), [], [])
        await backend.close()
        return result

    async def go() -> list[CommitResult]:
        first = await consume(to_workflow("begin"), 1)
        await journals_in_rows(url)
        await execute(url, "alter table arvo.inbox drop column content")
        await execute(url, "delete from arvo.version where number > 7")
        return [first, await consume(to_workflow("begin", data={"k": 1}), 2)]

    assert within(go()) == [Committed(), Duplicate()]


@pytest.mark.parametrize("journal", [(), ({"at": 0, "asked": 'ask "ä\\'}, {"at": 1, "got": 2.50})])
def test_the_journal_of_a_flow_becomes_a_part_of_its_record(
    url: str, journal: tuple[Any, ...]
) -> None:
    """The version before had a row for each entry."""
    begun = expect_commit(shop, order_request()).record
    assert begun is not None
    record = evolve(begun, journal=freeze_unchecked(journal))
    body = record.to_dict()
    del body["journal"]

    async def load() -> Record | None:
        backend = PostgresBackend(url)
        loaded = await backend.load(record.subject)
        await backend.close()
        return loaded

    async def go() -> None:
        assert await load() is None
        await journals_in_rows(url)
        connection = await asyncpg.connect(servers.postgres_url())
        await connection.execute(
            Dsn.parse(url).sql(
                "insert into arvo.workflow (id, subject, handler, version, status, revision,"
                " record, began, changed, history_length)"
                " values (7, $1, $2, '1.0.0', 'active', 1, $3, now(), now(), 0)"
            ),
            *(record.subject, record.handler, orjson.dumps(body)),
        )
        lines = [(place, orjson.dumps(entry)) for place, entry in enumerate(journal)]
        insert = Dsn.parse(url).sql("insert into arvo.journal values (7, $1, $2)")
        await connection.executemany(insert, lines[::-1])
        await connection.close()
        assert await load() == record

    within(go())
