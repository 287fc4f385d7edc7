"""Migrations: the tables are created once, in a schema of their own, and by no accident."""

import asyncio

import asyncpg
import pytest

from arvo import Client
from arvo.interpreters.delivery.codec import encode_dead_letter
from arvo.interpreters.ports.errors import Corrupt
from arvo.interpreters.postgres import PostgresBackend
from arvo.interpreters.postgres.connection.dsn import Dsn
from arvo.interpreters.postgres.connection.migrations import scripts
from arvo.testing.conformance.cancellations import to_cancel
from arvo.testing.conformance.samples import WORKFLOW, dead_letter, event, to_workflow
from tests import servers
from tests.interpreters.postgres.schemas import execute
from tests.interpreters.within import within
from tests.shop import shop


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
        "dead_letter",
        "delivery",
        "history",
        "inbox",
        "journal",
        "memory",
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
        await backend.close()

    within(go())


def test_a_cancellation_from_before_the_upgrade_is_pending(url: str) -> None:
    """It was accepted by a version that did not look for it."""
    begin, stop = to_workflow("begin"), to_cancel()

    async def go() -> bool:
        before = PostgresBackend(url)
        for message in (begin, stop):
            await before.send(message)
        await before.close()
        await execute(url, "alter table arvo.delivery drop column cancels")
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
