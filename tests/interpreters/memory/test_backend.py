"""Memory: the shortest true backend."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import attrs
import pytest

from arvo import Commit, Event, MemoryBackend
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.backend import (
    Committed,
    Conflict,
    DeadLetter,
    Delivery,
    Depth,
    Duplicate,
    Message,
    Unavailable,
)
from tests.shop import charging, committed, placing, shop

PAY, ORDER = "com.payment.charge", "arvo.orc.order.fulfil"


def post(n: int) -> Message:
    return Message(charging(f"c{n}"), ToHandler(PAY, None))


def turn(n: int, key: str = "s") -> Message:
    return Message(placing(f"i{n}"), ToHandler(ORDER, key))


def within(work: Coroutine[Any, Any, Any]) -> Any:
    async def go() -> Any:
        async with asyncio.timeout(5):
            return await work

    return asyncio.run(go())


async def nothing_comes(backend: MemoryBackend, queue: str) -> bool:
    try:
        async with asyncio.timeout(0.01):
            await backend.receive(queue)
    except TimeoutError:
        return True
    return False


def test_first_in_is_first_out() -> None:
    """B02: the reference's queue is a stack."""

    async def go() -> list[str]:
        backend = MemoryBackend()
        for n in range(4):
            await backend.send(post(n))
        return [(await backend.receive(PAY)).message.event.id for _ in range(4)]

    assert within(go()) == ["c0", "c1", "c2", "c3"]


def test_events_of_one_key_are_handed_out_one_at_a_time_and_in_order() -> None:
    """B12, B13: no lock that could be left behind, and no update that is lost."""

    async def go() -> list[str]:
        backend = MemoryBackend()
        for n in range(3):
            await backend.send(turn(n))
        await backend.send(turn(9, key="another"))
        first = await backend.receive(ORDER)
        other = await backend.receive(ORDER)
        assert await nothing_comes(backend, ORDER)
        await backend.ack(first)
        second = await backend.receive(ORDER)
        assert await nothing_comes(backend, ORDER)
        await backend.ack(second)
        third = await backend.receive(ORDER)
        return [each.message.event.id for each in (first, other, second, third)]

    assert within(go()) == ["i0", "i9", "i1", "i2"]


def a_commit() -> tuple[Delivery, Commit]:
    event: Event[Any] = placing()
    return Delivery(Message(event, ToHandler(ORDER, event.subject)), 1), committed(shop, event)


def test_a_commit_is_applied_whole_or_not_at_all() -> None:
    """B10, B11: record, events and letters together; a stale one changes nothing (I6)."""

    async def go() -> None:
        backend = MemoryBackend()
        delivery, commit = a_commit()
        stale = attrs.evolve(commit, expected=7)
        dead_letter = DeadLetter(id="l1", event=charging(), reason="r", attempts=0, at="now")
        await backend.send(delivery.message)
        taken = await backend.receive(ORDER)

        refused = await backend.commit(taken, stale, [post(1)], [dead_letter])

        assert refused == Conflict(0)
        assert await backend.load(commit.event.subject) is None
        assert await backend.dead_letters() == ()
        assert await backend.depth() == Depth(taken=1)

        applied = await backend.commit(taken, commit, [post(1)], [dead_letter])

        assert applied == Committed()
        assert await backend.load(commit.event.subject) == commit.record
        assert await backend.dead_letters() == (dead_letter,)
        assert await backend.depth() == Depth(ready=1)

    within(go())


def test_an_event_that_was_consumed_is_not_consumed_again() -> None:
    """B05, I2: nothing of the second commit is applied, and its delivery is settled."""

    async def go() -> None:
        backend = MemoryBackend()
        delivery, commit = a_commit()
        for _ in range(2):
            await backend.send(delivery.message)
        await backend.commit(await backend.receive(ORDER), commit, [], [])

        again = await backend.commit(await backend.receive(ORDER), commit, [post(1)], [])

        assert again == Duplicate()
        assert await backend.depth() == Depth()
        record = await backend.load(commit.event.subject)
        assert record is not None
        assert record.revision == 1

    within(go())


def test_one_id_of_two_senders_is_two_events() -> None:
    """CloudEvents: source and id together."""

    async def go() -> list[Any]:
        backend = MemoryBackend()
        applied = []
        for source in ("com.shop.web", "com.shop.app"):
            event: Event[Any] = charging(source=source, subject="s")
            await backend.send(Message(event, ToHandler(PAY, None)))
            applied.append(
                await backend.commit(await backend.receive(PAY), committed(shop, event), [], [])
            )
        return applied

    assert within(go()) == [Committed(), Committed()]


def test_a_sender_waits_while_the_queue_is_full() -> None:
    """Backpressure, not loss."""

    async def go() -> None:
        backend = MemoryBackend(queue_max=2)
        sending = [asyncio.create_task(backend.send(post(n))) for n in range(5)]
        await asyncio.sleep(0.01)
        assert [task.done() for task in sending] == [True, True, False, False, False]
        received = []
        for _ in range(5):
            delivery = await backend.receive(PAY)
            received.append(delivery.message.event.id)
            await backend.ack(delivery)
        await asyncio.gather(*sending)
        assert received == ["c0", "c1", "c2", "c3", "c4"]

    within(go())


def test_a_sender_that_gives_up_does_not_take_anothers_place() -> None:
    """A cancelled waiter passes the wake-up on."""

    async def go() -> str:
        backend = MemoryBackend(queue_max=1)
        await backend.send(post(0))
        impatient, patient = (asyncio.create_task(backend.send(post(n))) for n in (1, 2))
        await asyncio.sleep(0)
        await backend.ack(await backend.receive(PAY))
        impatient.cancel()
        await patient
        return (await backend.receive(PAY)).message.event.id

    assert within(go()) == "c2"


def test_a_delivery_comes_again_with_its_attempts_counted() -> None:
    """Its key may go on meanwhile; nothing rests while it is delayed."""

    async def go() -> None:
        backend = MemoryBackend()
        await backend.send(turn(0))
        await backend.send(turn(1))
        await backend.nack(await backend.receive(ORDER), 0.02)
        assert await backend.depth() == Depth(ready=1, delayed=1)
        other = await backend.receive(ORDER)
        await backend.ack(other)
        retried = await backend.receive(ORDER)
        assert (other.message.event.id, retried.message.event.id, retried.attempt) == (
            "i1",
            "i0",
            2,
        )
        await backend.ack(retried)
        await backend.wait_until_idle()

    within(go())


def test_closing_loses_nothing_and_leaves_nobody_waiting() -> None:
    """Who opens it again in this process finds what was delayed; a sender is told."""

    async def go() -> None:
        backend = MemoryBackend(queue_max=1)
        await backend.send(post(0))
        await backend.nack(await backend.receive(PAY), 60)
        waiting = asyncio.create_task(backend.send(post(1)))
        await asyncio.sleep(0)

        await backend.close()

        with pytest.raises(Unavailable, match="closed before it took the event"):
            await waiting
        delivery = await backend.receive(PAY)
        assert (delivery.message.event.id, delivery.attempt) == ("c0", 2)

    within(go())


def test_a_dead_letter_is_taken_out_once() -> None:
    """Two operators who retry it at once send it once."""

    async def go() -> list[bool]:
        backend = MemoryBackend()
        await backend.dead_letter(
            None, DeadLetter(id="l", event=charging(), reason="r", attempts=1, at="t")
        )
        return [await backend.redrive("l", [post(0)]), await backend.redrive("l", [post(0)])]

    assert within(go()) == [True, False]


def test_a_record_is_amended_only_as_it_was_read() -> None:
    """A turn that was decided on the record before is refused, and so is a second amendment."""

    async def go() -> list[object]:
        backend = MemoryBackend()
        begun = committed(shop, placing())
        assert begun.record is not None
        await backend.send(turn(1))
        await backend.commit(await backend.receive(ORDER), begun, [], [])
        amended = attrs.evolve(begun.record, version="2.0.0", revision=2)
        applied: list[object] = [await backend.replace_record(amended, 1) for _ in range(2)]
        await backend.send(turn(2))
        late = attrs.evolve(begun, event=placing("i2"), expected=1)
        applied.append(await backend.commit(await backend.receive(ORDER), late, [], []))
        return [*applied, await backend.load(begun.record.subject) == amended]

    assert within(go()) == [Committed(), Conflict(2), Conflict(2), True]
