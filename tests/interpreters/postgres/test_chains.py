"""Chains on Postgres: other processes write while one is committed."""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest
from attrs import evolve

from arvo.core.commit import Commit
from arvo.core.record import Record
from arvo.interpreters.delivery.claims import token_of
from arvo.interpreters.delivery.record_log import RECORD_BYTES_MAX
from arvo.interpreters.delivery.tasks import poll_until_idle
from arvo.interpreters.ports.chains import CommitChain
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.ports.results import Committed, Fenced
from arvo.interpreters.postgres import PostgresBackend
from arvo.interpreters.postgres.connection.dsn import Connection
from arvo.interpreters.postgres.statements import deliveries
from arvo.interpreters.postgres.statements.write_batch import delivery_row
from arvo.testing.conformance.kit.samples import (
    WORKFLOW,
    grow,
    record,
    subject,
    timer,
    to_workflow,
    turn_commit,
)
from tests import servers
from tests.interpreters.within import within

# A worker that is no process.
OTHER = 1_000_000


def chain_of(first: Delivery | Message, commits: Sequence[Commit]) -> CommitChain:
    """Make a chain whose commits pass nothing on."""
    deliveries = (first,) if isinstance(first, Delivery) else ()
    message = first.message if isinstance(first, Delivery) else first
    return CommitChain(message=message, deliveries=deliveries, commits=tuple(commits))


def turn_of(message: Message, revision: int, run: str = "one") -> Commit:
    """Make the commit of a turn whose event is no delivery."""
    return turn_commit(Delivery(message, 1), revision, run=run)


async def commit_chain(backend: PostgresBackend, chain: CommitChain) -> bool:
    """Commit one chain."""
    [is_applied] = await backend.commit_chains([chain])
    return is_applied


async def receive(backend: PostgresBackend, message: Message) -> Delivery:
    """Send a message and receive it."""
    await backend.send(message)
    return await backend.receive(WORKFLOW)


@asynccontextmanager
async def other_process(backend: PostgresBackend) -> AsyncGenerator[Connection]:
    """Open a connection with a transaction that the test ends."""
    connection = await asyncpg.connect(servers.postgres_url())
    try:
        yield connection
    finally:
        await connection.close()


async def is_blocked(connection: Connection, backend: PostgresBackend) -> None:
    """Wait until a statement of the backend waits for a lock of *connection*."""
    statement = """
        select exists (select from pg_stat_activity
            where $1 = any(pg_blocking_pids(pid)) and query like $2)
    """
    pid, query = connection.get_server_pid(), f"%{backend.dsn.schema}.%"
    async with other_process(backend) as observer:

        async def is_free() -> bool:
            return not await observer.fetchval(statement, pid, query)

        await poll_until_idle(is_free)


@pytest.mark.promise("I4")
def test_a_chain_sees_an_event_that_another_worker_took_while_it_waited(url: str) -> None:
    """I4: the statement that locks a key saw it as it was before, also if it had to wait."""

    async def go() -> list[bool]:
        backend = PostgresBackend(url)
        begin = await receive(backend, to_workflow("begin"))
        await backend.commit(begin, turn_commit(begin, 1), [], [])
        delivery = await receive(backend, to_workflow("next"))
        child = to_workflow("child", "two")
        chain = chain_of(delivery, [turn_commit(delivery, 2), turn_of(child, 1, "two")])
        async with other_process(backend) as other:
            blocking = other.transaction()
            await blocking.start()
            await other.execute(
                backend.dsn.sql("select from arvo.workflow where subject = $1 for update"),
                subject(),
            )
            committing = asyncio.create_task(commit_chain(backend, chain))
            await is_blocked(other, backend)
            async with other_process(backend) as another:
                row = delivery_row(to_workflow("signal", "two"), backend.dsn)
                await deliveries.send(another, backend.dsn, [row])
                await another.execute(
                    backend.dsn.sql("update arvo.delivery set owner = $1 where owner is null"),
                    OTHER,
                )
            await blocking.rollback()
        applied = [await committing]
        async with other_process(backend) as other:
            await other.execute(
                backend.dsn.sql("delete from arvo.delivery where owner = $1"), OTHER
            )
        # Nothing of it was left.
        applied.append(await commit_chain(backend, chain))
        await backend.close()
        return applied

    assert within(go()) == [False, True]


@pytest.mark.promise("I4")
def test_no_worker_takes_an_event_that_a_chain_passes(url: str) -> None:
    """I4: until the chain is committed it would be processed beside it."""

    async def go() -> tuple[list[object], bool, Delivery]:
        backend, begin = PostgresBackend(url), to_workflow("begin")
        await backend.load(subject())
        async with other_process(backend) as other, other_process(backend) as another:
            blocking = other.transaction()
            await blocking.start()
            # The chain has looked for other rows, and waits to insert its workflow.
            await other.execute(
                backend.dsn.sql(
                    "insert into arvo.workflow (subject, handler, version, status, revision,"
                    " record, began, changed, history_length)"
                    " values ($1, '', '', '', 0, '', now(), now(), 0)"
                ),
                subject(),
            )
            chain = chain_of(begin, [turn_of(begin, 1)])
            committing = asyncio.create_task(commit_chain(backend, chain))
            await is_blocked(other, backend)
            await backend.send(to_workflow("signal"))
            claimed, is_contested = await deliveries.claim(
                another, backend.dsn, OTHER, {WORKFLOW: 10}, [], backend.now()
            )
            assert is_contested
            await blocking.rollback()
        is_applied = await committing
        signal = await backend.receive(WORKFLOW)
        assert await backend.commit(signal, turn_commit(signal, 2), [], []) == Committed()
        await backend.close()
        return list(claimed), is_applied, signal

    claimed, is_applied, signal = within(go())

    assert claimed == []
    assert is_applied
    assert signal.message.event.id == "signal"


@pytest.mark.promise("I4")
def test_no_chain_takes_a_turn_while_a_worker_has_a_delivery(url: str) -> None:
    """I4: the worker that has an event of a workflow is the only one to take a turn of it."""
    keys, messages = 3, 15
    chance = random.Random(5)  # noqa: S311 - no secret, and the same in each run
    taken = {"deliveries": 0, "chains": 0}

    async def revision_of(backend: PostgresBackend, run: str) -> int:
        stored = await backend.load(subject(run))
        return 0 if stored is None else stored.revision

    async def work(backend: PostgresBackend) -> None:
        while True:
            delivery = await backend.receive(WORKFLOW)
            run = delivery.message.event.data["run"]
            revision = await revision_of(backend, run) + 1
            await asyncio.sleep(chance.uniform(0.0, 0.003))
            commit = turn_commit(delivery, revision, run=run)
            assert await backend.commit(delivery, commit, [], []) == Committed()
            taken["deliveries"] += 1

    async def enter(backend: PostgresBackend, run: str, number: int) -> None:
        entering = to_workflow(f"{run} chain {number}", run)
        while True:
            commit = turn_of(entering, await revision_of(backend, run) + 1, run)
            if await commit_chain(backend, chain_of(entering, [commit])):
                break
            await asyncio.sleep(chance.uniform(0.0, 0.01))
        taken["chains"] += 1

    async def send(backend: PostgresBackend, run: str) -> None:
        for number in range(messages):
            await backend.send(to_workflow(f"{run} {number}", run, data={"run": run}))
            await asyncio.sleep(chance.uniform(0.0, 0.02))

    async def go() -> list[int]:
        backends = [PostgresBackend(url) for _ in range(3)]
        workers = [asyncio.create_task(work(backend)) for backend in backends for _ in range(2)]
        runs = [f"r{number}" for number in range(keys)]
        await asyncio.gather(
            *(send(chance.choice(backends), run) for run in runs),
            *(
                enter(chance.choice(backends), run, number)
                for run in runs
                for number in range(messages)
            ),
        )
        idle = asyncio.create_task(backends[0].wait_until_idle())
        await asyncio.wait({idle, *workers}, return_when="FIRST_COMPLETED")
        for task in workers:
            assert not task.done(), task.exception()
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        revisions = [await revision_of(backends[0], run) for run in runs]
        for backend in backends:
            await backend.close()
        return revisions

    revisions = within(go())

    assert taken == {"deliveries": keys * messages, "chains": keys * messages}
    assert revisions == [2 * messages] * keys


@pytest.mark.promise("I6")
def test_a_chain_of_a_lost_delivery_is_refused(url: str) -> None:
    """I6: another worker may have it; the chains beside it are applied."""

    async def go() -> tuple[list[bool], object]:
        backend = PostgresBackend(url)
        delivery = await receive(backend, to_workflow("begin"))
        await backend.close()
        commit, other = turn_commit(delivery, 1), to_workflow("other", "two")
        applied = await backend.commit_chains(
            [chain_of(delivery, [commit]), chain_of(other, [turn_of(other, 1, "two")])]
        )
        result = await backend.commit(delivery, commit, [], [])
        await backend.close()
        return list(applied), result

    assert within(go()) == ([False, True], Fenced())


@pytest.mark.promise("I6")
def test_a_chain_of_which_another_worker_owns_a_message_is_refused(url: str) -> None:
    """I6: also where it is not the first one; all of them stay."""

    async def go() -> list[bool]:
        backend = PostgresBackend(url)
        for name in ("begin", "next"):
            await backend.send(to_workflow(name))
        first = await backend.receive(WORKFLOW)

        async def is_alone() -> bool:
            await backend.poll({WORKFLOW: 10}, 10)
            return not list(backend.followers(first))

        await poll_until_idle(is_alone)
        followers = list(backend.followers(first))
        commits = turn_commit(first, 1), turn_commit(followers[0], 2)
        chain = CommitChain(message=first.message, deliveries=(first, *followers), commits=commits)
        owner = token_of(first).worker_id
        applied = []
        for each in (OTHER, owner):
            async with other_process(backend) as other:
                await other.execute(
                    backend.dsn.sql("update arvo.delivery set owner = $1 where id = $2"),
                    each,
                    token_of(followers[0]).delivery_id,
                )
            applied.append(await commit_chain(backend, chain))
        assert await backend.load(subject()) == record(2)
        await backend.close()
        return applied

    assert within(go()) == [False, True]


def test_a_chain_that_cannot_be_written_does_not_affect_the_others(url: str) -> None:
    """The caller has to know of those that were applied: replies of them are stored nowhere."""

    async def go() -> list[bool]:
        backend = PostgresBackend(url)
        chains: list[CommitChain] = []
        for run in ("one", "two", "three"):
            message = to_workflow(f"begin {run}", run)
            chains.append(chain_of(message, [turn_of(message, 1, run)]))
        # Postgres stores no text with this character.
        message, damaged = chains[1].message, record(1, "two", version="\0")
        commit = evolve(chains[1].commits[0], record=damaged)
        chains[1] = chain_of(message, [commit])
        applied = await backend.commit_chains(chains)
        with pytest.raises(Unavailable):
            await backend.commit_chains([chains[1]])
        await backend.close()
        return applied

    assert within(go()) == [True, False, True]


def test_the_last_turn_of_a_chain_decides_about_a_timer(url: str) -> None:
    """One that is set and cleared is not set; one that is cleared and set again is."""

    async def go() -> int:
        backend = PostgresBackend(url)
        begin, reply, last = (to_workflow(name) for name in ("begin", "reply", "last"))
        ended, again = timer("ended", 3_600.0), timer("again", 3_600.0)
        turns = [
            evolve(turn_of(begin, 1), timers=(ended, again)),
            evolve(turn_of(reply, 2), cleared_timers=("ended", "again")),
            evolve(turn_of(last, 3), timers=(again,)),
        ]
        assert await commit_chain(backend, chain_of(begin, turns))
        depth = await backend.depth()
        await backend.close()
        return depth.timers

    assert within(go()) == 1


@pytest.mark.promise("I2")
def test_a_chain_that_consumes_an_event_twice_is_refused(url: str) -> None:
    """I2: the second turn would be one of a duplicate."""

    async def go() -> tuple[bool, object]:
        backend, begin = PostgresBackend(url), to_workflow("begin")
        is_applied = await commit_chain(
            backend, chain_of(begin, [turn_of(begin, 1), turn_of(begin, 2)])
        )
        stored = await backend.load(subject())
        await backend.close()
        return is_applied, stored

    assert within(go()) == (False, None)


def test_a_chain_writes_what_its_turns_change_in_a_large_record(url: str) -> None:
    """From the record before its first turn to that of its last one."""

    async def go() -> list[bool]:
        backend = PostgresBackend(url)
        before: Record | None = None
        following = record(1, journal=[{"line": "x" * RECORD_BYTES_MAX}])
        results: list[bool] = []
        for number in range(12):
            turns: list[Commit] = []
            for place in range(2):
                message = to_workflow(f"{number} {place}")
                turn = turn_of(message, following.revision)
                turns.append(evolve(turn, record=following, before=before))
                before, following = following, grow(following)
            first = Message(turns[0].event, to_workflow("first").to)
            assert await commit_chain(backend, chain_of(first, turns))
            results.append(await backend.load(subject()) == before)
        await backend.close()
        return results

    assert within(go()) == [True] * 12
