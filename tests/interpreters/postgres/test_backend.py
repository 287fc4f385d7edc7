"""What Postgres owes beyond the kit: several processes, a server that falls, tables, the past."""

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest

from arvo import Client, Corrupt, Retention, Runtime, Unavailable
from arvo.core.violations.violation import Violated
from arvo.interpreters.delivery import claims as feed
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.retention import BITE_ROWS
from arvo.interpreters.ports.backend import Committed, Delivery, Depth, Fenced
from arvo.interpreters.postgres import PostgresBackend, PostgresMemory
from arvo.interpreters.postgres.connection.dsn import Address
from arvo.interpreters.postgres.connection.migrations import scripts
from arvo.interpreters.postgres.session import maintenance as watch
from arvo.interpreters.postgres.statements import purge as forget
from arvo.testing.conformance.samples import (
    SERVICE,
    WORKFLOW,
    alarm,
    answer,
    letter,
    subject,
    to_service,
    to_workflow,
    turn,
)
from tests import servers
from tests.interpreters.postgres.schemas import schema_of
from tests.interpreters.within import within
from tests.shop import placing, shop

T = TypeVar("T")
# The package has a function of the module's name.
backends = sys.modules[PostgresBackend.__module__]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A schema of its own."""
    return schema_of(tmp_path)


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(servers.postgres_url())
    await connection.execute(Address.parse(url).sql(statement))
    await connection.close()


# Several processes


def test_events_of_a_key_are_one_workers_at_a_time(url: str) -> None:
    """I4, and no work for nothing: of many who take from one schema, one has a workflow."""
    keys, each = 5, 12
    in_hand: dict[str, int] = {}
    taken: list[str] = []
    chance = random.Random(3)  # noqa: S311 - no secret, and the same in each run

    async def taker(backend: PostgresBackend) -> None:
        while True:
            delivery = await backend.receive(WORKFLOW)
            key = delivery.message.event.subject
            assert not in_hand.get(key), "two have events of one workflow"
            in_hand[key] = 1
            await asyncio.sleep(chance.uniform(0.0, 0.003))
            in_hand[key] = 0
            taken.append(delivery.message.event.id)
            await backend.ack(delivery)

    async def go() -> None:
        backends = [PostgresBackend(url) for _ in range(3)]
        takers = [asyncio.ensure_future(taker(each)) for each in backends for _ in range(4)]
        for number in range(each):
            await asyncio.gather(
                *(
                    chance.choice(backends).send(to_workflow(f"{run} {number:02}", run=f"r{run}"))
                    for run in range(keys)
                )
            )
        resting = asyncio.ensure_future(backends[0].wait_until_idle())
        await asyncio.wait({resting, *takers}, return_when="FIRST_COMPLETED")
        for task in takers:
            assert not task.done(), task.exception()
            task.cancel()
        await asyncio.gather(*takers, return_exceptions=True)
        for backend in backends:
            await backend.close()

    within(go())

    assert sorted(taken) == [f"{run} {number:02}" for run in range(keys) for number in range(each)]
    for run in range(keys):
        mine = [id_ for id_ in taken if id_.startswith(f"{run} ")]
        assert mine == sorted(mine), "out of order"


def test_whoever_waits_is_told_of_what_another_process_sends(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a look at the tables: a poll would be slow, or dear."""
    monkeypatch.setattr(watch, "LOOK_SECONDS", 3_600.0)

    async def go() -> Delivery:
        one, other = PostgresBackend(url), PostgresBackend(url)
        waiting = asyncio.ensure_future(one.receive(SERVICE))
        await one.load(subject())
        await asyncio.sleep(0.1)
        await other.send(to_service("ask"))
        found = await waiting
        await one.close()
        await other.close()
        return found

    assert within(go()).message == to_service("ask")


def test_behind_a_pooler_nothing_is_listened_to(url: str) -> None:
    """A proxy gives each transaction another connection; a look finds what nobody told of."""

    async def go() -> Delivery:
        one, other = PostgresBackend(f"{url}&pooler=yes"), PostgresBackend(f"{url}&pooler=yes")
        waiting = asyncio.ensure_future(one.receive(SERVICE))
        await one.load(subject())
        await other.send(to_service("ask"))
        found = await waiting
        assert await one.commit(found, answer(found), [], []) == Committed()
        await one.close()
        await other.close()
        return found

    assert within(go()).message == to_service("ask")


def test_a_process_that_the_server_misses_is_dead_at_once(url: str) -> None:
    """Its lease runs for long still: an hour here."""

    async def go() -> Delivery:
        dying, other = PostgresBackend(url, lease=3_600), PostgresBackend(url, lease=3_600)
        await dying.send(to_service("ask"))
        await dying.receive(SERVICE)
        session, _ = await dying._keeper.opened()
        looking, dying._keeper._looking = dying._keeper._looking, None
        assert looking is not None
        looking.cancel()
        session.listener.terminate()
        found = await other.receive(SERVICE)
        await other.close()
        session.pool.terminate()
        return found

    assert within(go()).message == to_service("ask")


def test_a_timer_that_is_due_soon_does_not_wait_for_a_look(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told of before it was there, it would come with the next look: a second late."""
    monkeypatch.setattr(watch, "LOOK_SECONDS", 3_600.0)

    async def go() -> str:
        backend = PostgresBackend(url)
        await backend.send(to_workflow("begin"))
        begin = await backend.receive(WORKFLOW)
        await asyncio.sleep(0.1)
        commit = turn(begin, 1, alarms=[alarm("soon", 0.1)])
        assert await backend.commit(begin, commit, [], []) == Committed()
        due = await backend.receive(WORKFLOW)
        await backend.close()
        return due.message.event.id

    assert within(go(), 10) == "soon"


def test_clocks_that_differ_keep_no_event_back(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines never agree to the millisecond, and only timers wait for a time."""
    monkeypatch.setattr(watch, "LOOK_SECONDS", 3_600.0)

    async def go() -> list[str]:
        ahead = PostgresBackend(url, now=lambda: utc_now() + timedelta(minutes=1))
        behind = PostgresBackend(url)
        await ahead.send(to_service("one"))
        asked = await ahead.receive(SERVICE)
        waiting = asyncio.ensure_future(behind.receive(WORKFLOW))
        await behind.load(subject())
        await asyncio.sleep(0.1)
        said = to_workflow("first"), to_workflow("second")
        assert await ahead.commit(asked, answer(asked, said), said, []) == Committed()
        first = await waiting
        await behind.ack(first)
        found = [first, await behind.receive(WORKFLOW)]
        await ahead.close()
        await behind.close()
        return [each.message.event.id for each in found]

    assert within(go(), 10) == ["first", "second"]


def test_what_another_claim_holds_is_not_passed(url: str) -> None:
    """Of two claims at once the other may hold the first event of a workflow, and not get it."""

    async def go() -> list[str]:
        backend = PostgresBackend(url)
        for number in range(3):
            await backend.send(to_workflow(f"{number}"))
        connection = await asyncpg.connect(servers.postgres_url())
        transaction = connection.transaction()
        await transaction.start()
        first = "select id from arvo.delivery order by id limit 1 for update"
        await connection.execute(backend.address.sql(first))
        waiting = asyncio.ensure_future(backend.receive(WORKFLOW))
        await asyncio.wait({waiting}, timeout=0.2)
        await transaction.rollback()
        await connection.close()
        found = [await waiting]
        for _ in range(2):
            await backend.ack(found[-1])
            found.append(await backend.receive(WORKFLOW))
        await backend.close()
        return [each.message.event.id for each in found]

    assert within(go()) == ["0", "1", "2"]


def test_a_workflow_for_which_much_waits_fills_no_memory(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at a time is worked on, so no more than a few need to be here; others pass them."""
    monkeypatch.setattr(backends, "KEY_MAX", 5)
    monkeypatch.setattr(watch, "LOOK_SECONDS", 3_600.0)
    many = 60

    async def go() -> list[str]:
        sender, backend = PostgresBackend(url), PostgresBackend(url)
        for number in range(many):
            await sender.send(to_workflow(f"{number:02}"))
        await sender.send(to_workflow("other", run="other"))
        takers = [asyncio.ensure_future(backend.receive(WORKFLOW)) for _ in range(3)]
        found: list[Delivery] = []
        while len(found) < 2:
            done, waiting = await asyncio.wait(takers, return_when="FIRST_COMPLETED")
            found += [each.result() for each in done]
            takers = list(waiting)
        held = await backend._read(
            lambda c: c.fetchval(
                backend.address.sql("select count(*) from arvo.delivery where owner is not null")
            )
        )
        assert held < many / 2
        delivery, other = sorted(found, key=lambda each: each.message.event.id)
        assert other.message.event.id == "other"
        await backend.ack(other)
        for taker in takers:
            taker.cancel()
        ids: list[str] = []
        while True:
            ids.append(delivery.message.event.id)
            await backend.ack(delivery)
            if len(ids) == many:
                break
            delivery = await backend.receive(WORKFLOW)
        await sender.close()
        await backend.close()
        return ids

    assert within(go(), 30) == [f"{number:02}" for number in range(many)]


def test_what_is_settled_while_it_closes_is_settled(url: str) -> None:
    """A runtime that stops may have given up on a handler whose commit is on its way."""

    async def go() -> Depth:
        backend = PostgresBackend(url)
        await backend.send(to_service("one"))
        found = await backend.receive(SERVICE)
        settling = asyncio.ensure_future(backend.ack(found))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.gather(settling, backend.close())
        depth = await backend.depth()
        await backend.close()
        return depth

    assert within(go()) == Depth()


def test_what_is_settled_after_it_closed_comes_again(url: str) -> None:
    """It was given back."""

    async def go() -> list[str]:
        backend = PostgresBackend(url)
        await backend.send(to_service("one"))
        stale = await backend.receive(SERVICE)
        await backend.close()
        await backend.nack(stale, 0.0)
        assert await backend.commit(stale, answer(stale), [], []) == Fenced()
        found = await backend.receive(SERVICE)
        await backend.close()
        return [found.message.event.id]

    assert within(go()) == ["one"]


def test_it_may_be_closed_while_it_opens(url: str) -> None:
    """Nobody looks after connections that nobody wants any more."""

    async def go() -> None:
        backend = PostgresBackend(url)
        asking = asyncio.ensure_future(backend.depth())
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await backend.close()

    within(go(), feed.END_SECONDS - 1)


# A server that falls


@pytest.fixture
def server() -> Iterator[servers.Server]:
    """A server of our own, to be stopped and started."""
    started = servers.postgres("fsync=off")
    started.start()
    yield started
    started.stop()


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again while the server is not there."""
    while True:
        try:
            return await ask()
        except Unavailable:
            await asyncio.sleep(0.01)


def test_a_server_that_restarts_is_found_again(server: servers.Server) -> None:
    """Who waits for an event waits on; what was in hand comes again, and what was sent is there."""

    async def go() -> None:
        backend = PostgresBackend(server.url)
        await backend.send(to_workflow("begin"))
        stale = await backend.receive(WORKFLOW)
        waiting = asyncio.ensure_future(backend.receive(SERVICE))
        await asyncio.sleep(0)
        await asyncio.to_thread(server.stop)
        with pytest.raises(Unavailable):
            await backend.send(to_service("lost"))
        await asyncio.to_thread(server.start)

        late = turn(stale, 1)
        assert await patiently(lambda: backend.commit(stale, late, [], [])) == Fenced()
        again = await patiently(lambda: backend.receive(WORKFLOW))
        assert again.message == stale.message
        asked = to_service("ask")
        assert (
            await backend.commit(again, turn(again, 1, posts=[asked]), [asked], []) == Committed()
        )
        found = await waiting
        assert found.message == asked
        assert await backend.commit(found, answer(found), [], []) == Committed()
        await backend.wait_until_idle()
        await backend.close()

    within(go())


def test_a_workflow_goes_on_when_the_server_is_back(server: servers.Server) -> None:
    """The runtime waits, and carries it through."""

    async def go() -> str:
        async with Runtime(shop, server.url) as runtime:
            await runtime.send(placing())
            await asyncio.to_thread(server.restart)
            while True:
                record = await patiently(lambda: runtime.record(placing().subject))
                if record is not None and record.status == "done":
                    return record.status
                await asyncio.sleep(0.01)

    assert within(go()) == "done"


def test_a_memory_finds_its_server_again(server: servers.Server) -> None:
    """As the other half of a pair does."""

    async def go() -> object:
        memory = PostgresMemory(server.url)
        await memory.write("one", b"kept", 0)
        await asyncio.to_thread(server.restart)
        found = await patiently(lambda: memory.read("one"))
        await memory.close()
        return found and found.record

    assert within(go()) == b"kept"


@pytest.mark.parametrize("opened", [PostgresBackend, PostgresMemory])
def test_a_server_that_is_not_there_is_waited_for(opened: Any) -> None:
    """Whoever asks is told, and may ask again."""

    async def go() -> None:
        port = servers._free_port()
        one = opened(f"postgresql://postgres@127.0.0.1:{port}/postgres")
        for _ in range(2):
            with pytest.raises(Unavailable, match="Postgres"):
                await (one.dead_letters() if opened is PostgresBackend else one.read("one"))
        await one.close()

    within(go())


def test_a_database_that_is_not_there_is_for_a_person() -> None:
    """No waiting would help."""

    async def go() -> None:
        url = servers.postgres_url().replace("/postgres", "/no_such_database")
        with pytest.raises(Corrupt, match=r"no_such_database.*mend the URL"):
            await PostgresBackend(url).dead_letters()

    within(go())


# Tables


def test_the_tables_lie_in_a_schema_of_their_own(url: str) -> None:
    """Beside whatever else the database holds, and many times in one database."""

    async def go() -> list[str]:
        async with Client(shop, url) as desk:
            await desk.workflows()
        connection = await asyncpg.connect(servers.postgres_url())
        rows = await connection.fetch(
            "select tablename from pg_tables where schemaname = $1 order by 1",
            Address.parse(url).schema,
        )
        await connection.close()
        return [row["tablename"] for row in rows]

    assert within(go()) == [
        "delivery",
        "history",
        "inbox",
        "journal",
        "letter",
        "memory",
        "timer",
        "version",
        "worker",
        "workflow",
    ]


def test_of_many_who_start_at_once_one_makes_the_tables(url: str) -> None:
    """A deployment starts all its processes together."""

    async def go() -> None:
        backends = [PostgresBackend(url) for _ in range(5)]
        assert await asyncio.gather(*(each.dead_letters() for each in backends)) == [()] * 5
        for backend in backends:
            await backend.close()

    within(go())


def test_tables_that_shall_not_be_made_are_asked_for(url: str) -> None:
    """Where a person migrates, with rights that the workers have not."""

    async def go() -> None:
        careful = PostgresBackend(f"{url}&migrate=no")
        with pytest.raises(Corrupt, match="is not there: run arvo upgrade"):
            await careful.dead_letters()
        address = Address.parse(url)
        await execute(url, f"create schema {address.schema};" + "".join(scripts(address)))
        assert await careful.dead_letters() == ()
        await careful.close()

    within(go())


def test_tables_of_a_later_version_are_left_alone(url: str) -> None:
    """An old process must not work on what it does not know."""

    async def go() -> None:
        first = PostgresBackend(url)
        await first.dead_letters()
        await first.close()
        await execute(url, "insert into arvo.version select max(number) + 1 from arvo.version")
        with pytest.raises(Corrupt, match="was made by a later arvo: upgrade"):
            await PostgresBackend(url).dead_letters()

    within(go())


def test_a_schema_of_somebody_else_is_left_alone(url: str) -> None:
    """Nothing of theirs is touched."""

    async def go() -> None:
        schema = Address.parse(url).schema
        await execute(url, f"create schema {schema}; create table {schema}.theirs (id integer)")
        with pytest.raises(Corrupt, match="holds tables that are not ours: name another schema"):
            await PostgresBackend(url).dead_letters()

    within(go())


@pytest.mark.parametrize(
    "query", ["schema=Robert'); drop", "schema=pg_x", "schema=", "migrate=perhaps"]
)
def test_a_url_that_is_not_understood_is_refused(query: str) -> None:
    """Nothing that could get into a statement, and no word that could mean two things."""
    with pytest.raises(Violated, match=r"schema: expected a name|migrate: expected yes or no"):
        PostgresBackend(f"postgresql://db/shop?{query}")


# One transaction for many


def test_a_unit_that_cannot_be_written_keeps_no_other_from_it(url: str) -> None:
    """They share a transaction only as long as nobody is in the way."""

    async def go() -> tuple[int, list[object]]:
        backend = PostgresBackend(url)
        await backend.dead_letter(None, letter("twice", to_service("x").event))
        units = [backend.send(to_service(f"e{number}")) for number in range(20)]
        done = await asyncio.gather(
            *units[:10],
            backend.dead_letter(None, letter("twice", to_service("y").event)),
            *units[10:],
            return_exceptions=True,
        )
        depth = await backend.depth()
        await backend.close()
        return depth.total, [each for each in done if each is not None]

    total, (refused,) = within(go())

    assert total == 20
    assert isinstance(refused, Unavailable)
    assert "duplicate key" in str(refused)


# The past


def test_what_is_over_is_forgotten_after_its_time(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing else: a workflow that waits stays, and so does one that failed."""
    monkeypatch.setattr(watch, "FORGET_SECONDS", 0.0)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    time = start

    async def end(backend: PostgresBackend, run: str, status: str) -> None:
        await backend.send(to_workflow("begin", run=run))
        delivery = await backend.receive(WORKFLOW)
        commit = turn(delivery, 1, run=run, status=status)
        assert await backend.commit(delivery, commit, [], []) == Committed()

    async def counted() -> tuple[int, ...]:
        connection = await asyncpg.connect(servers.postgres_url())
        row = await connection.fetchrow(
            Address.parse(url).sql(
                "select (select count(*) from arvo.workflow), (select count(*) from arvo.history),"
                " (select count(*) from arvo.inbox)"
            )
        )
        await connection.close()
        assert row is not None
        return tuple(row.values())

    async def go() -> list[tuple[int, ...]]:
        nonlocal time
        keep = Retention(inbox=timedelta(days=1), finished=timedelta(days=2))
        backend = PostgresBackend(url, now=lambda: time, keep=keep)
        for run, status in (("a", "done"), ("b", "cancelled"), ("c", "active"), ("d", "failed")):
            await end(backend, run, status)
        counts = []
        for days, wanted in enumerate(WANTED):
            time = start + timedelta(days=days, seconds=1)
            for _ in range(200):
                assert backend._keeper._watch is not None
                backend._keeper._watch.wake()
                await asyncio.sleep(0.02)
                if (found := await counted()) == wanted:
                    break
            counts.append(found)
        await backend.close()
        return counts

    assert within(go()) == WANTED


# Workflows, lines of history, and consumed events, after so many days.
WANTED = [(4, 4, 4), (4, 4, 0), (2, 2, 0)]


def test_what_is_over_goes_in_bites_also_where_a_workflow_was_long(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bite that takes longer than a transaction may would fail for ever."""
    monkeypatch.setattr(forget, "LINES_MAX", 1)

    async def go() -> list[int]:
        backend = PostgresBackend(url)
        for run in ("a", "b", "c"):
            await backend.send(to_workflow("begin", run=run))
            delivery = await backend.receive(WORKFLOW)
            await backend.commit(delivery, turn(delivery, 1, run=run, status="done"), [], [])
        keep, later = Retention(inbox=None), utc_now() + timedelta(days=31)
        left = []
        for _ in range(4):
            await backend._read(lambda c: forget.forget(c, backend.address, keep, later))
            left.append(len(await backend.workflows()))
        await backend.close()
        return left

    assert within(go()) == [2, 1, 0, 0]


def test_a_timer_does_not_wait_until_all_is_forgotten(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be a week's worth of it, and it goes bite by bite."""

    async def bite(*_: object) -> int:
        await asyncio.sleep(0.1)
        return BITE_ROWS

    monkeypatch.setattr(watch, "forget", bite)

    async def go() -> str:
        backend = PostgresBackend(url)
        await backend.send(to_workflow("begin"))
        begin = await backend.receive(WORKFLOW)
        commit = turn(begin, 1, alarms=[alarm("soon", 0.1)])
        assert await backend.commit(begin, commit, [], []) == Committed()
        async with asyncio.timeout(5):
            due = await backend.receive(WORKFLOW)
        await backend.close()
        return due.message.event.id

    assert within(go()) == "soon"


def test_more_is_taken_than_one_claim_holds(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane in which nobody waited just then is asked for again (else it waits for a look)."""
    monkeypatch.setattr(watch, "LOOK_SECONDS", 3_600.0)
    monkeypatch.setattr(backends, "AHEAD", 1)

    async def go() -> None:
        before = PostgresBackend(url)
        for number in range(30):
            await before.send(to_service(f"s{number}"))
            await before.send(to_workflow(f"w{number}", run=f"r{number}"))
        await before.close()
        backend = PostgresBackend(url)

        async def taker(queue: str) -> None:
            for _ in range(30):
                await backend.ack(await backend.receive(queue))

        await asyncio.gather(taker(SERVICE), taker(WORKFLOW))
        await backend.close()

    within(go())
