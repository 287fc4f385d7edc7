"""Queues: each delivery goes to one caller, and those of one key go one at a time and in order."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from arvo.engine.step.route import ToDomain, ToHandler
from arvo.interpreters.delivery.queues import InProcessQueues
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Delivery, Message
from tests.interpreters.within import within
from tests.shop import charge_request

T = TypeVar("T")
PAY, ORDER = "com.payment.charge", "arvo.orc.order.fulfil"


def delivery(name: str, key: str | None = None, queue: str = PAY) -> Delivery:
    return Delivery(Message(charge_request(name), ToHandler(queue, key)), 1, name)


def names(deliveries: list[Delivery]) -> list[object]:
    return [received.token for received in deliveries]


async def receive(queues: InProcessQueues, count: int = 1, queue: str = PAY) -> list[Delivery]:
    return [await queues.receive(queue) for _ in range(count)]


async def settles(work: Coroutine[Any, Any, T]) -> bool:
    """Return whether a coroutine ends while all other tasks wait; cancel it if it does not."""
    task = asyncio.create_task(work)
    await let_tasks_run()
    done = task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return done


async def let_tasks_run() -> None:
    """Run every task until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.promise("I4")
def test_the_deliveries_of_a_key_are_received_in_the_order_in_which_they_were_added() -> None:
    """I4. A delivery that was blocked comes before those that became ready behind it."""

    async def go() -> list[object]:
        queues = InProcessQueues()
        for name, key in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("x", None)):
            queues.put(delivery(name, key))
        first, other = await receive(queues, 2)
        queues.put(delivery("y"))
        received, current = [first, other], first
        for _ in range(3):
            queues.release(current)
            (current,) = await receive(queues)
            received.append(current)
        return names(received)

    assert within(go()) == ["a1", "x", "a2", "a3", "y"]


def test_each_destination_has_its_own_queue() -> None:
    """A slow handler does not delay the others."""

    async def go() -> tuple[object, ...]:
        queues = InProcessQueues()
        queues.put(delivery("p"))
        queues.put(delivery("o", queue=ORDER))
        queues.put(Delivery(Message(charge_request("h"), ToDomain("human")), 1, "h"))
        ready = queues.ready
        (received,) = await receive(queues, queue=ORDER)
        return ready, received.token, queues.ready, names(list(queues.taken.values()))

    assert within(go()) == (3, "o", 2, ["o"])


def test_a_queue_starves_while_a_caller_waits_and_no_delivery_is_ready() -> None:
    """The claim loop fetches as many deliveries as callers wait for, and no more."""

    async def go() -> list[object]:
        queues = InProcessQueues()
        seen: list[object] = [queues.starving_queues(), queues.is_starving(PAY)]
        callers = [asyncio.create_task(queues.receive(PAY)) for _ in range(2)]
        await let_tasks_run()
        seen += [queues.starving_queues(), queues.is_starving(PAY), queues.is_starving(ORDER)]
        queues.put(delivery("p"))
        seen += [queues.starving_queues(), queues.is_starving(PAY)]
        await let_tasks_run()
        seen += [queues.starving_queues()]
        callers[1].cancel()
        await let_tasks_run()
        seen += [queues.starving_queues(), queues.is_starving(PAY), callers[0].done()]
        return seen

    assert within(go()) == [
        *({}, False),
        *({PAY: 2}, True, False),
        *({}, False),
        {PAY: 1},
        *({}, False, True),
    ]


def test_a_caller_that_is_cancelled_as_it_is_woken_wakes_the_next() -> None:
    """Otherwise a delivery would stay in the queue while a caller waits for it."""

    async def go() -> tuple[object, ...]:
        queues = InProcessQueues()
        first, second, third = (asyncio.create_task(queues.receive(PAY)) for _ in range(3))
        await let_tasks_run()
        queues.put(delivery("p"))
        first.cancel()
        received = await second
        # A caller that is cancelled before it is woken wakes no other one.
        third.cancel()
        await let_tasks_run()
        return received.token, first.cancelled(), third.cancelled(), queues.ready

    assert within(go()) == ("p", True, True, 0)


def test_a_caller_that_is_cancelled_while_it_waits_wakes_no_other() -> None:
    """There is no delivery for the others, and they would lose their places."""

    async def go() -> tuple[object, ...]:
        queues = InProcessQueues()
        first, second, third = (asyncio.create_task(queues.receive(PAY)) for _ in range(3))
        await let_tasks_run()
        first.cancel()
        await let_tasks_run()
        waiting = queues.starving_queues()
        queues.put(delivery("p"))
        received = await second
        third.cancel()
        await let_tasks_run()
        return waiting, received.token, third.cancelled()

    assert within(go()) == ({PAY: 2}, "p", True)


def test_an_error_is_raised_in_every_waiting_caller() -> None:
    """In every queue, except in callers that were cancelled."""

    async def go() -> list[object]:
        queues = InProcessQueues()
        callers = [asyncio.create_task(queues.receive(queue)) for queue in (PAY, ORDER, PAY)]
        await let_tasks_run()
        callers[0].cancel()
        queues.fail(Unavailable("down"))
        return [type(result) for result in await asyncio.gather(*callers, return_exceptions=True)]

    assert within(go()) == [asyncio.CancelledError, Unavailable, Unavailable]


def test_a_delayed_delivery_is_added_after_its_delay_or_returned_when_delays_are_cancelled() -> (
    None
):
    """Each delivery has its own delay."""

    async def go() -> tuple[object, ...]:
        queues = InProcessQueues()
        for name, delay in (("soon", 0.0), ("later", 60.0), ("too", 0.0)):
            queues.put_delayed(delivery(name), delay)
        before = queues.delayed
        received = await receive(queues, 2)
        after = queues.delayed
        cancelled = queues.cancel_delays()
        return before, sorted(map(str, names(received))), after, names(cancelled), queues.delayed

    assert within(go()) == (3, ["soon", "too"], 1, ["later"], 0)


@pytest.mark.promise("I4")
def test_a_postponed_delivery_keeps_its_key_until_it_is_released() -> None:
    """I4. Deliveries of other keys and without a key do not wait for it."""

    async def go() -> list[list[object]]:
        queues = InProcessQueues()
        for name, key in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("x", None)):
            queues.put(delivery(name, key))
        (first,) = await receive(queues)
        queues.postpone(first, delivery("a1 again", "a"), 0.01)
        meanwhile = await receive(queues, 2)
        queues.put(delivery("a3", "a"))
        seen: list[list[object]] = [names(meanwhile)]
        seen.append([queues.delayed, queues.blocked_count("a"), len(queues.taken)])
        received = []
        for _ in range(3):
            received += await receive(queues)
            assert await settles(queues.receive(PAY)) is False
            queues.release(received[-1])
        return [*seen, names(received), [queues.delayed, queues.blocked_count("a")]]

    assert within(go()) == [["b1", "x"], [1, 2, 2], ["a1 again", "a2", "a3"], [0, 0]]


@pytest.mark.promise("I4")
def test_a_postponed_delivery_whose_delay_is_cancelled_is_the_first_of_its_key() -> None:
    """I4: a process that closes delivers it at once when it opens again."""

    async def go() -> list[object]:
        queues = InProcessQueues()
        for name in ("a1", "a2", "a3"):
            queues.put(delivery(name, "a"))
        (first,) = await receive(queues)
        queues.postpone(first, first, 60.0)
        assert await settles(queues.receive(PAY)) is False
        for delayed in queues.cancel_delays():
            queues.put(delayed)
        received = []
        for _ in range(3):
            received += await receive(queues)
            queues.release(received[-1])
        return names(received)

    assert within(go()) == ["a1", "a2", "a3"]


def test_a_postponed_delivery_that_is_cleared_frees_its_key() -> None:
    """Another process owns it by now."""

    async def go() -> list[object]:
        queues = InProcessQueues()
        for name in ("a1", "a2"):
            queues.put(delivery(name, "a"))
        (first,) = await receive(queues)
        queues.postpone(first, first, 60.0)
        queues.cancel_delays()
        queues.clear_ready()
        queues.put(delivery("a3", "a"))
        return names(await receive(queues))

    assert within(go()) == ["a3"]


def test_a_postponed_delivery_without_a_key_blocks_nothing() -> None:
    """A handler without memory has no order to keep."""

    async def go() -> list[object]:
        queues = InProcessQueues()
        for name in ("x", "y"):
            queues.put(delivery(name))
        (first,) = await receive(queues)
        queues.postpone(first, delivery("x again"), 0.01)
        return names(await receive(queues, 2))

    assert within(go()) == ["y", "x again"]


def test_requeued_deliveries_come_first_and_in_order() -> None:
    """As in a process that starts again. The deliveries that they blocked follow them."""

    async def go() -> list[object]:
        queues = InProcessQueues()
        names_ = (("a1", "a"), ("a2", "a"), ("x", None), ("b1", "b"))
        for name, key in names_:
            queues.put(delivery(name, key))
        await receive(queues, 3)
        queues.put(delivery("last"))
        queues.requeue_taken()
        received = []
        while queues.ready:
            received += await receive(queues)
            queues.release(received[-1])
        return names(received)

    assert within(go()) == ["a1", "a2", "x", "b1", "last"]


def test_ready_deliveries_are_cleared_and_taken_ones_keep_their_keys() -> None:
    """Another process owns the cleared ones. New deliveries of a key wait for the taken one."""

    async def go() -> tuple[object, ...]:
        queues = InProcessQueues()
        for name, key in (("a1", "a"), ("x", None), ("a2", "a"), ("b1", "b")):
            queues.put(delivery(name, key))
        first, _ = await receive(queues, 2)
        queues.clear_ready()
        ready = queues.ready
        queues.put(delivery("a3", "a"))
        queues.put(delivery("y"))
        (between,) = await receive(queues)
        queues.release(first)
        (after,) = await receive(queues)
        return ready, between.token, after.token

    assert within(go()) == (0, "y", "a3")


def test_the_deliveries_that_a_key_blocks_are_counted() -> None:
    """The claim loop does not fetch more of a crowded key."""

    async def go() -> list[object]:
        queues = InProcessQueues()
        for name, key in (("a1", "a"), ("b1", "b"), ("a2", "a"), ("b2", "b"), ("a3", "a")):
            queues.put(delivery(name, key))
        queues.put(delivery("x"))
        await receive(queues, 3)
        blocked = [queues.blocked_count(key) for key in ("a", "b", "c", None)]
        return [blocked, queues.crowded_keys(1), queues.crowded_keys(2), queues.crowded_keys(3)]

    assert within(go()) == [[2, 1, 0, 0], ["a", "b"], ["a"], []]


@pytest.mark.parametrize("key", ["a", None])
def test_a_delivery_is_released_once(key: str | None) -> None:
    """A second release would give its key to two callers."""

    async def go() -> InProcessQueues:
        queues = InProcessQueues()
        queues.put(delivery("a1", key))
        (first,) = await receive(queues)
        queues.release(first)
        with pytest.raises(KeyError):
            queues.release(first)
        return queues

    assert within(go()).taken == {}
