"""Memory backend: the shortest complete backend."""

import asyncio
from typing import Any

import attrs
import pytest

from arvo import Commit, Event, MemoryBackend
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message
from arvo.interpreters.ports.results import Committed, Conflict, Depth, Duplicate
from arvo.testing.conformance.kit.samples import recent
from tests.interpreters.within import within
from tests.shop import charge_request, expect_commit, order_request, shop

PAY, ORDER = "com.payment.charge", "arvo.orc.order.fulfil"


def payment_message(n: int) -> Message:
    return Message(charge_request(f"c{n}"), ToHandler(PAY, None))


def workflow_message(n: int, key: str = "s") -> Message:
    return Message(order_request(f"i{n}"), ToHandler(ORDER, key))


async def is_empty(backend: MemoryBackend, queue: str) -> bool:
    try:
        async with asyncio.timeout(0.01):
            await backend.receive(queue)
    except TimeoutError:
        return True
    return False


def test_first_in_is_first_out() -> None:
    """B02: a queue, not a stack."""

    async def go() -> list[str]:
        backend = MemoryBackend()
        for n in range(4):
            await backend.send(payment_message(n))
        return [(await backend.receive(PAY)).message.event.id for _ in range(4)]

    assert within(go()) == ["c0", "c1", "c2", "c3"]


def test_events_of_one_key_are_delivered_one_at_a_time_and_in_order() -> None:
    """B12, B13: there is no lock that a crash could leave behind, and no update is lost."""

    async def go() -> list[str]:
        backend = MemoryBackend()
        for n in range(3):
            await backend.send(workflow_message(n))
        await backend.send(workflow_message(9, key="another"))
        first = await backend.receive(ORDER)
        other = await backend.receive(ORDER)
        assert await is_empty(backend, ORDER)
        await backend.ack(first)
        second = await backend.receive(ORDER)
        assert await is_empty(backend, ORDER)
        await backend.ack(second)
        third = await backend.receive(ORDER)
        return [delivery.message.event.id for delivery in (first, other, second, third)]

    assert within(go()) == ["i0", "i9", "i1", "i2"]


def delivery_and_commit() -> tuple[Delivery, Commit]:
    event: Event[Any] = order_request()
    return Delivery(Message(event, ToHandler(ORDER, event.subject)), 1), expect_commit(shop, event)


@pytest.mark.promise("I6")
def test_a_commit_is_applied_whole_or_not_at_all() -> None:
    """B10, B11: record, messages and dead letters together. A stale commit changes nothing."""

    async def go() -> None:
        backend = MemoryBackend()
        delivery, commit = delivery_and_commit()
        stale = attrs.evolve(commit, expected=7)
        dead_letter = DeadLetter(
            id="dead-1",
            event=charge_request(),
            reason="r",
            attempts=0,
            at=recent(),
        )
        await backend.send(delivery.message)
        taken = await backend.receive(ORDER)

        refused = await backend.commit(taken, stale, [payment_message(1)], [dead_letter])

        assert refused == Conflict(0)
        assert await backend.load(commit.event.subject) is None
        assert await backend.dead_letters() == ()
        assert await backend.depth() == Depth(taken=1)

        applied = await backend.commit(taken, commit, [payment_message(1)], [dead_letter])

        assert applied == Committed()
        assert await backend.load(commit.event.subject) == commit.record
        assert await backend.dead_letters() == (dead_letter,)
        assert await backend.depth() == Depth(ready=1)

    within(go())


@pytest.mark.promise("I2")
def test_an_event_that_was_consumed_is_not_consumed_again() -> None:
    """B05: nothing of the second commit is applied, and its delivery is acknowledged."""

    async def go() -> None:
        backend = MemoryBackend()
        delivery, commit = delivery_and_commit()
        for _ in range(2):
            await backend.send(delivery.message)
        await backend.commit(await backend.receive(ORDER), commit, [], [])

        result = await backend.commit(
            await backend.receive(ORDER), commit, [payment_message(1)], []
        )

        assert result == Duplicate()
        assert await backend.depth() == Depth()
        record = await backend.load(commit.event.subject)
        assert record is not None
        assert record.revision == 1

    within(go())


def test_the_events_of_a_committed_turn_hold_no_text() -> None:
    """It takes as much memory as the rest of a workflow that waits; a reader writes it again."""

    async def go() -> None:
        backend = MemoryBackend()
        await backend.send(workflow_message(1))
        delivery = await backend.receive(ORDER)
        commit = expect_commit(shop, delivery.message.event)
        texts = [event.to_bytes() for event in (commit.event, *commit.events)]

        assert await backend.commit(delivery, commit, [], []) == Committed()

        history = await backend.history(commit.event.subject)
        events = [entry.event for entry in history if entry.event is not None]
        assert [event._json for event in events] == [None, None]
        assert [event.to_bytes() for event in events] == texts

    within(go())


def test_one_id_of_two_senders_is_two_events() -> None:
    """An event is identified by source and id together (CloudEvents 1.0 §id)."""

    async def go() -> list[Any]:
        backend = MemoryBackend()
        applied = []
        for source in ("com.shop.web", "com.shop.app"):
            event: Event[Any] = charge_request(source=source, subject="s")
            await backend.send(Message(event, ToHandler(PAY, None)))
            applied.append(
                await backend.commit(await backend.receive(PAY), expect_commit(shop, event), [], [])
            )
        return applied

    assert within(go()) == [Committed(), Committed()]


def test_a_sender_waits_while_the_queue_is_full() -> None:
    """Backpressure, not loss."""

    async def go() -> None:
        backend = MemoryBackend(queue_max=2)
        sending = [asyncio.create_task(backend.send(payment_message(n))) for n in range(5)]
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


def test_a_sender_that_is_cancelled_lets_the_next_one_in() -> None:
    """It passes its wake-up on."""

    async def go() -> str:
        backend = MemoryBackend(queue_max=1)
        await backend.send(payment_message(0))
        cancelled, waiting = (asyncio.create_task(backend.send(payment_message(n))) for n in (1, 2))
        await asyncio.sleep(0)
        await backend.ack(await backend.receive(PAY))
        cancelled.cancel()
        await waiting
        return (await backend.receive(PAY)).message.event.id

    assert within(go()) == "c2"


def test_a_returned_delivery_is_delivered_again_with_one_more_attempt() -> None:
    """Before the others of its key; the backend is not idle in the meantime."""

    async def go() -> None:
        backend = MemoryBackend()
        await backend.send(workflow_message(0))
        await backend.send(workflow_message(1))
        await backend.nack(await backend.receive(ORDER), 0.02)
        assert await backend.depth() == Depth(ready=1, delayed=1)
        retried = await backend.receive(ORDER)
        await backend.ack(retried)
        other = await backend.receive(ORDER)
        assert (retried.message.event.id, retried.attempt, other.message.event.id) == (
            "i0",
            2,
            "i1",
        )
        await backend.ack(other)
        await backend.wait_until_idle()

    within(go())


def test_a_deferred_delivery_lets_the_others_of_its_key_pass() -> None:
    """The event that starts its workflow may be among them."""

    async def go() -> None:
        backend = MemoryBackend()
        await backend.send(workflow_message(0))
        await backend.send(workflow_message(1))
        await backend.defer(await backend.receive(ORDER), 0.02)
        assert await backend.depth() == Depth(ready=1, delayed=1)
        other = await backend.receive(ORDER)
        await backend.ack(other)
        deferred = await backend.receive(ORDER)
        assert (other.message.event.id, deferred.message.event.id, deferred.attempt) == (
            "i1",
            "i0",
            2,
        )
        await backend.ack(deferred)
        await backend.wait_until_idle()

    within(go())


def test_closing_loses_no_event_and_fails_waiting_senders() -> None:
    """A later receive in the same process finds the delayed deliveries."""

    async def go() -> None:
        backend = MemoryBackend(queue_max=1)
        await backend.send(payment_message(0))
        await backend.nack(await backend.receive(PAY), 60)
        waiting = asyncio.create_task(backend.send(payment_message(1)))
        await asyncio.sleep(0)

        await backend.close()

        with pytest.raises(Unavailable, match="closed before it took the event"):
            await waiting
        delivery = await backend.receive(PAY)
        assert (delivery.message.event.id, delivery.attempt) == ("c0", 2)

    within(go())


@pytest.mark.promise("I4")
def test_after_closing_a_returned_delivery_is_still_the_first_of_its_key() -> None:
    """I4. It does not wait for its delay any more."""

    async def go() -> None:
        backend = MemoryBackend()
        for number in range(3):
            await backend.send(workflow_message(number))
        await backend.nack(await backend.receive(ORDER), 60)
        await backend.close()

        received = []
        for _ in range(3):
            delivery = await backend.receive(ORDER)
            received.append(delivery.message.event.id)
            await backend.ack(delivery)

        assert received == ["i0", "i1", "i2"]

    within(go())


def test_a_dead_letter_is_redriven_once() -> None:
    """Two operators who redrive it at the same time send its event once."""

    async def go() -> list[bool]:
        backend = MemoryBackend()
        await backend.dead_letter(
            None,
            DeadLetter(id="dead-1", event=charge_request(), reason="r", attempts=1, at=recent()),
        )
        return [
            await backend.redrive("dead-1", [payment_message(0)]),
            await backend.redrive("dead-1", [payment_message(0)]),
        ]

    assert within(go()) == [True, False]


def test_a_record_is_replaced_only_if_its_revision_is_unchanged() -> None:
    """A turn that was decided on the old record conflicts, and so does a second replacement."""

    async def go() -> list[object]:
        backend = MemoryBackend()
        first = expect_commit(shop, order_request())
        assert first.record is not None
        await backend.send(workflow_message(1))
        await backend.commit(await backend.receive(ORDER), first, [], [])
        replaced = attrs.evolve(first.record, version="2.0.0", revision=2)
        applied: list[object] = [await backend.replace_record(replaced, 1) for _ in range(2)]
        await backend.send(workflow_message(2))
        late = attrs.evolve(first, event=order_request("i2"), expected=1)
        applied.append(await backend.commit(await backend.receive(ORDER), late, [], []))
        return [*applied, await backend.load(first.record.subject) == replaced]

    assert within(go()) == [Committed(), Conflict(2), Conflict(2), True]
