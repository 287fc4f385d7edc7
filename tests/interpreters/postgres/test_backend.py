"""Postgres beyond the conformance kit: several processes that share a schema."""

import asyncio
import random
import sys
from datetime import timedelta

import asyncpg
import pytest

from arvo.interpreters.delivery import tasks
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.ports.results import Committed, Depth, Fenced
from arvo.interpreters.postgres import PostgresBackend
from arvo.interpreters.postgres.session import maintenance
from arvo.interpreters.postgres.statements import workers
from arvo.testing.conformance.kit.samples import (
    SERVICE,
    WORKFLOW,
    dead_letter,
    service_commit,
    subject,
    timer,
    to_service,
    to_workflow,
    turn_commit,
)
from tests import servers
from tests.interpreters.within import within

# The package has a function of the module's name.
module = sys.modules[PostgresBackend.__module__]


@pytest.fixture
def no_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that depends on a poll hangs, and fails."""
    monkeypatch.setattr(maintenance, "POLL_SECONDS", 3_600.0)


def ids(deliveries: list[Delivery]) -> list[str]:
    return [delivery.message.event.id for delivery in deliveries]


@pytest.mark.promise("I4")
def test_one_worker_at_a_time_has_the_events_of_a_key(url: str) -> None:
    """I4: of many workers that claim from one schema, one has the events of a workflow."""
    keys, messages = 5, 12
    in_hand: dict[str, int] = {}
    received: list[str] = []
    chance = random.Random(3)  # noqa: S311 - no secret, and the same in each run

    async def work(backend: PostgresBackend) -> None:
        while True:
            delivery = await backend.receive(WORKFLOW)
            key = delivery.message.event.subject
            assert not in_hand.get(key), "two workers have events of one workflow"
            in_hand[key] = 1
            await asyncio.sleep(chance.uniform(0.0, 0.003))
            in_hand[key] = 0
            received.append(delivery.message.event.id)
            await backend.ack(delivery)

    async def go() -> None:
        backends = [PostgresBackend(url) for _ in range(3)]
        workers = [asyncio.create_task(work(backend)) for backend in backends for _ in range(4)]
        for number in range(messages):
            await asyncio.gather(
                *(
                    chance.choice(backends).send(to_workflow(f"{run} {number:02}", run=f"r{run}"))
                    for run in range(keys)
                )
            )
        idle = asyncio.create_task(backends[0].wait_until_idle())
        await asyncio.wait({idle, *workers}, return_when="FIRST_COMPLETED")
        for task in workers:
            assert not task.done(), task.exception()
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        for backend in backends:
            await backend.close()

    within(go())

    assert sorted(received) == [
        f"{run} {number:02}" for run in range(keys) for number in range(messages)
    ]
    for run in range(keys):
        of_run = [id_ for id_ in received if id_.startswith(f"{run} ")]
        assert of_run == sorted(of_run), "out of order"


@pytest.mark.usefixtures("no_polls")
def test_a_message_of_another_process_wakes_a_waiting_call(url: str) -> None:
    """By a notification: a poll would be slow, or expensive."""

    async def go() -> Delivery:
        one, other = PostgresBackend(url), PostgresBackend(url)
        waiting = asyncio.create_task(one.receive(SERVICE))
        await one.load(subject())
        await asyncio.sleep(0.1)
        await other.send(to_service("ask"))
        delivery = await waiting
        await one.close()
        await other.close()
        return delivery

    assert within(go()).message == to_service("ask")


def test_behind_a_pooler_a_poll_finds_new_messages(url: str) -> None:
    """A proxy gives each transaction another connection, so none can listen."""

    async def go() -> Delivery:
        one, other = PostgresBackend(f"{url}&pooler=yes"), PostgresBackend(f"{url}&pooler=yes")
        waiting = asyncio.create_task(one.receive(SERVICE))
        await one.load(subject())
        await other.send(to_service("ask"))
        delivery = await waiting
        assert await one.commit(delivery, service_commit(delivery), [], []) == Committed()
        await one.close()
        await other.close()
        return delivery

    assert within(go()).message == to_service("ask")


def test_a_process_whose_connection_has_ended_is_dead_at_once(url: str) -> None:
    """Although its lease, an hour here, has not expired."""

    async def go() -> Delivery:
        dying, other = PostgresBackend(url, lease=3_600), PostgresBackend(url, lease=3_600)
        await dying.send(to_service("ask"))
        await dying.receive(SERVICE)
        session, _ = await dying._sessions.open()
        maintaining, dying._sessions._maintaining = dying._sessions._maintaining, None
        assert maintaining is not None
        maintaining.cancel()
        session.listener.terminate()
        delivery = await other.receive(SERVICE)
        await other.close()
        session.pool.terminate()
        return delivery

    assert within(go()).message == to_service("ask")


@pytest.mark.promise("I4", "I6")
@pytest.mark.usefixtures("no_polls")
def test_a_worker_that_was_wrongly_taken_for_dead_keeps_the_order(url: str) -> None:
    """I4, I6: before it notices. What it received before is not its own again by a claim of the
    same rows: the second delivery would come before the first one.
    """

    async def go() -> tuple[list[Delivery], list[str]]:
        backend, other = PostgresBackend(url), PostgresBackend(url)
        for number in range(3):
            await backend.send(to_workflow(f"event-{number}"))
        first = await backend.receive(WORKFLOW)
        session = await backend._sessions.session()
        # As another process does with a worker whose lease has expired.
        await session.write(lambda c: workers.deregister(c, session.dsn, session.worker_id))
        await backend.ack(first)
        second = await backend.receive(WORKFLOW)
        claimed, _ = await backend._claim({WORKFLOW: 8}, ())
        await backend.ack(second)
        received = []
        for _ in range(3):
            delivery = await other.receive(WORKFLOW)
            received.append(delivery.message.event.id)
            await other.ack(delivery)
        await backend.close()
        await other.close()
        return claimed, received

    assert within(go()) == ([], ["event-0", "event-1", "event-2"])


@pytest.mark.usefixtures("no_polls")
def test_a_timer_fires_without_a_poll_in_the_process_that_set_it(url: str) -> None:
    """Scheduled before it is committed, it would fire with the next poll: a second late."""

    async def go() -> str:
        backend = PostgresBackend(url)
        await backend.send(to_workflow("begin"))
        begin = await backend.receive(WORKFLOW)
        await asyncio.sleep(0.1)
        commit = turn_commit(begin, 1, timers=[timer("soon", 0.1)])
        assert await backend.commit(begin, commit, [], []) == Committed()
        fired = await backend.receive(WORKFLOW)
        await backend.close()
        return fired.message.event.id

    assert within(go()) == "soon"


@pytest.mark.usefixtures("no_polls")
def test_a_clock_that_is_behind_holds_no_event_back(url: str) -> None:
    """Two machines never agree to the millisecond, and only timers wait for a time."""

    async def go() -> list[str]:
        ahead = PostgresBackend(url, now=lambda: utc_now() + timedelta(minutes=1))
        behind = PostgresBackend(url)
        await ahead.send(to_service("one"))
        request = await ahead.receive(SERVICE)
        waiting = asyncio.create_task(behind.receive(WORKFLOW))
        await behind.load(subject())
        await asyncio.sleep(0.1)
        messages = to_workflow("first"), to_workflow("second")
        commit = service_commit(request, messages)
        assert await ahead.commit(request, commit, messages, []) == Committed()
        first = await waiting
        await behind.ack(first)
        received = [first, await behind.receive(WORKFLOW)]
        await ahead.close()
        await behind.close()
        return ids(received)

    assert within(go()) == ["first", "second"]


def test_a_claim_does_not_overtake_a_row_that_is_locked(url: str) -> None:
    """Another claim may hold the first event of a workflow, and then not get it."""

    async def go() -> list[str]:
        backend = PostgresBackend(url)
        for number in range(3):
            await backend.send(to_workflow(f"{number}"))
        connection = await asyncpg.connect(servers.postgres_url())
        transaction = connection.transaction()
        await transaction.start()
        first = "select id from arvo.delivery order by id limit 1 for update"
        await connection.execute(backend.dsn.sql(first))
        waiting = asyncio.create_task(backend.receive(WORKFLOW))
        await asyncio.wait({waiting}, timeout=0.2)
        await transaction.rollback()
        await connection.close()
        received = [await waiting]
        for _ in range(2):
            await backend.ack(received[-1])
            received.append(await backend.receive(WORKFLOW))
        await backend.close()
        return ids(received)

    assert within(go()) == ["0", "1", "2"]


@pytest.mark.usefixtures("no_polls")
def test_a_busy_workflow_does_not_fill_the_memory_of_a_process(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its events are processed one at a time, so a few are enough; other workflows pass it."""
    monkeypatch.setattr(module, "KEY_MAX", 5)
    many = 60

    async def go() -> list[str]:
        sender, backend = PostgresBackend(url), PostgresBackend(url)
        for number in range(many):
            await sender.send(to_workflow(f"{number:02}"))
        await sender.send(to_workflow("other", run="other"))
        waiting = {asyncio.create_task(backend.receive(WORKFLOW)) for _ in range(3)}
        received: list[Delivery] = []
        while len(received) < 2:
            done, waiting = await asyncio.wait(waiting, return_when="FIRST_COMPLETED")
            received += [task.result() for task in done]
        owned = await backend._read(
            lambda c: c.fetchval(
                backend.dsn.sql("select count(*) from arvo.delivery where owner is not null")
            )
        )
        assert owned < many / 2
        delivery, other = sorted(received, key=lambda delivery: delivery.message.event.id)
        assert other.message.event.id == "other"
        await backend.ack(other)
        for task in waiting:
            task.cancel()
        found: list[str] = []
        while True:
            found.append(delivery.message.event.id)
            await backend.ack(delivery)
            if len(found) == many:
                break
            delivery = await backend.receive(WORKFLOW)
        await sender.close()
        await backend.close()
        return found

    assert within(go()) == [f"{number:02}" for number in range(many)]


@pytest.mark.usefixtures("no_polls")
def test_claims_go_on_until_the_queues_are_empty(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue in which no call waits for a moment is claimed from again, without a poll."""
    monkeypatch.setattr(module, "PREFETCH", 1)

    async def go() -> None:
        before = PostgresBackend(url)
        for number in range(30):
            await before.send(to_service(f"s{number}"))
            await before.send(to_workflow(f"w{number}", run=f"r{number}"))
        await before.close()
        backend = PostgresBackend(url)

        async def work(queue: str) -> None:
            for _ in range(30):
                await backend.ack(await backend.receive(queue))

        await asyncio.gather(work(SERVICE), work(WORKFLOW))
        await backend.close()

    within(go())


def test_an_ack_that_has_begun_is_finished_before_the_backend_closes(url: str) -> None:
    """A runtime that stops may have given up on a handler whose commit is under way."""

    async def go() -> Depth:
        backend = PostgresBackend(url)
        await backend.send(to_service("one"))
        delivery = await backend.receive(SERVICE)
        acknowledging = asyncio.create_task(backend.ack(delivery))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.gather(acknowledging, backend.close())
        depth = await backend.depth()
        await backend.close()
        return depth

    assert within(go()) == Depth()


def test_a_delivery_of_a_closed_backend_is_delivered_again(url: str) -> None:
    """It was released."""

    async def go() -> list[str]:
        backend = PostgresBackend(url)
        await backend.send(to_service("one"))
        stale = await backend.receive(SERVICE)
        await backend.close()
        await backend.nack(stale, 0.0)
        assert await backend.commit(stale, service_commit(stale), [], []) == Fenced()
        delivery = await backend.receive(SERVICE)
        await backend.close()
        return ids([delivery])

    assert within(go()) == ["one"]


def test_a_backend_may_be_closed_while_it_opens(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No task goes on to maintain the connections."""
    monkeypatch.setattr(tasks, "END_SECONDS", 3_600.0)

    async def go() -> None:
        backend = PostgresBackend(url)
        asking = asyncio.create_task(backend.depth())
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await backend.close()

    within(go())


def test_a_batch_that_cannot_be_written_does_not_affect_the_others(url: str) -> None:
    """They share a transaction only as long as every one of them succeeds."""

    async def go() -> tuple[int, list[object]]:
        backend = PostgresBackend(url)
        await backend.dead_letter(None, dead_letter("twice", to_service("x").event))
        sends = [backend.send(to_service(f"e{number}")) for number in range(20)]
        results = await asyncio.gather(
            *sends[:10],
            backend.dead_letter(None, dead_letter("twice", to_service("y").event)),
            *sends[10:],
            return_exceptions=True,
        )
        depth = await backend.depth()
        await backend.close()
        return depth.total, [result for result in results if result is not None]

    total, (refused,) = within(go())

    assert total == 20
    assert isinstance(refused, Unavailable)
    assert "duplicate key" in str(refused)


@pytest.mark.promise("I4")
def test_a_released_delivery_holds_back_the_others_of_its_key(url: str) -> None:
    """I4: also those that its process has claimed together with it."""

    async def go() -> list[str]:
        backend = PostgresBackend(url)
        for message in (to_workflow("first"), to_workflow("second"), to_workflow("else", "two")):
            await backend.send(message)
        first = await backend.receive(WORKFLOW)
        await backend.release(first, 3_600.0)
        second = await backend.receive(WORKFLOW)
        await backend.close()
        return ids([first, second])

    assert within(go()) == ["first", "else"]
