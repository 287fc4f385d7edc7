"""Lanes: each delivery to one taker, those of one key one at a time and in order."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from arvo.engine.step.route import ToDomain, ToHandler
from arvo.interpreters.delivery.queues import Lanes
from arvo.interpreters.ports.backend import Delivery, Message, Unavailable
from tests.shop import charging

T = TypeVar("T")
PAY, ORDER = "com.payment.charge", "arvo.orc.order.fulfil"


def within(work: Coroutine[Any, Any, T]) -> T:
    async def go() -> T:
        async with asyncio.timeout(5):
            return await work

    return asyncio.run(go())


def delivery(name: str, key: str | None = None, queue: str = PAY) -> Delivery:
    return Delivery(Message(charging(name), ToHandler(queue, key)), 1, name)


def names(deliveries: list[Delivery]) -> list[object]:
    return [each.token for each in deliveries]


async def taken(queues: Lanes, count: int = 1, queue: str = PAY) -> list[Delivery]:
    return [await queues.receive(queue) for _ in range(count)]


async def resting() -> None:
    """Let all that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_key_is_handed_on_in_the_order_that_its_deliveries_came() -> None:
    """I4; and whoever has waited longest for a key comes before what is ready behind it."""

    async def go() -> list[object]:
        queues = Lanes()
        for each in (delivery("a1", "a"), delivery("a2", "a"), delivery("a3", "a"), delivery("x")):
            queues.put(each)
        first, other = await taken(queues, 2)
        queues.put(delivery("y"))
        found, turn = [first, other], first
        for _ in range(3):
            queues.settle(turn)
            (turn,) = await taken(queues)
            found.append(turn)
        return names(found)

    assert within(go()) == ["a1", "x", "a2", "a3", "y"]


def test_each_lane_has_its_own_queue() -> None:
    """A slow handler keeps nobody else from work."""

    async def go() -> tuple[object, ...]:
        queues = Lanes()
        queues.put(delivery("p"))
        queues.put(delivery("o", queue=ORDER))
        queues.put(Delivery(Message(charging("h"), ToDomain("human")), 1, "h"))
        ready = queues.ready
        (found,) = await taken(queues, queue=ORDER)
        return ready, found.token, queues.ready, names(list(queues.taken.values()))

    assert within(go()) == (3, "o", 2, ["o"])


def test_a_lane_is_hungry_while_somebody_waits_and_nothing_is_ready() -> None:
    """So much is fetched for it, and no more."""

    async def go() -> list[object]:
        queues = Lanes()
        seen: list[object] = [queues.hungry(), queues.is_hungry(PAY)]
        takers = [asyncio.create_task(queues.receive(PAY)) for _ in range(2)]
        await resting()
        seen += [queues.hungry(), queues.is_hungry(PAY), queues.is_hungry(ORDER)]
        queues.put(delivery("p"))
        seen += [queues.hungry(), queues.is_hungry(PAY)]
        await resting()
        seen += [queues.hungry()]
        takers[1].cancel()
        await resting()
        seen += [queues.hungry(), queues.is_hungry(PAY), takers[0].done()]
        return seen

    assert within(go()) == [
        *({}, False),
        *({PAY: 2}, True, False),
        *({}, False),
        {PAY: 1},
        *({}, False, True),
    ]


def test_a_taker_that_is_cancelled_as_it_is_woken_wakes_the_next() -> None:
    """Else a delivery would lie there while somebody waits for it."""

    async def go() -> tuple[object, ...]:
        queues = Lanes()
        first, second, third = (asyncio.create_task(queues.receive(PAY)) for _ in range(3))
        await resting()
        queues.put(delivery("p"))
        first.cancel()
        found = await second
        # One that is cancelled while it only waits wakes nobody.
        third.cancel()
        await resting()
        return found.token, first.cancelled(), third.cancelled(), queues.ready

    assert within(go()) == ("p", True, True, 0)


def test_a_taker_that_gives_up_wakes_nobody() -> None:
    """There is nothing for them, and they would lose their place."""

    async def go() -> tuple[object, ...]:
        queues = Lanes()
        first, second, third = (asyncio.create_task(queues.receive(PAY)) for _ in range(3))
        await resting()
        first.cancel()
        await resting()
        waiting = queues.hungry()
        queues.put(delivery("p"))
        found = await second
        third.cancel()
        await resting()
        return waiting, found.token, third.cancelled()

    assert within(go()) == ({PAY: 2}, "p", True)


def test_all_who_wait_hear_of_an_error() -> None:
    """In every lane; who has given up is left alone."""

    async def go() -> list[object]:
        queues = Lanes()
        takers = [asyncio.create_task(queues.receive(queue)) for queue in (PAY, ORDER, PAY)]
        await resting()
        takers[0].cancel()
        queues.fail(Unavailable("down"))
        return [type(each) for each in await asyncio.gather(*takers, return_exceptions=True)]

    assert within(go()) == [asyncio.CancelledError, Unavailable, Unavailable]


def test_what_is_put_off_comes_after_its_time_or_is_given_back() -> None:
    """Each by itself."""

    async def go() -> tuple[object, ...]:
        queues = Lanes()
        for name, delay in (("soon", 0.0), ("later", 60.0), ("too", 0.0)):
            queues.put_later(delivery(name), delay)
        delayed = queues.delayed
        found = await taken(queues, 2)
        rest = queues.delayed
        stopped = queues.stop_clocks()
        return delayed, sorted(map(str, names(found))), rest, names(stopped), queues.delayed

    assert within(go()) == (3, ["soon", "too"], 1, ["later"], 0)


def test_what_was_never_settled_comes_again_first_in_order() -> None:
    """As in a process that begins anew; those that waited for its key come behind it."""

    async def go() -> list[object]:
        queues = Lanes()
        names_ = (("a1", "a"), ("a2", "a"), ("x", None), ("b1", "b"))
        for name, key in names_:
            queues.put(delivery(name, key))
        await taken(queues, 3)
        queues.put(delivery("last"))
        queues.return_taken()
        found = []
        while queues.ready:
            found += await taken(queues)
            queues.settle(found[-1])
        return names(found)

    assert within(go()) == ["a1", "a2", "x", "b1", "last"]


def test_what_is_ready_is_let_go_of_and_what_is_under_way_keeps_its_key() -> None:
    """Others have it now; what comes again waits until ours is over."""

    async def go() -> tuple[object, ...]:
        queues = Lanes()
        for name, key in (("a1", "a"), ("x", None), ("a2", "a"), ("b1", "b")):
            queues.put(delivery(name, key))
        first, _ = await taken(queues, 2)
        queues.forget_ready()
        left = queues.ready
        queues.put(delivery("a3", "a"))
        queues.put(delivery("y"))
        (between,) = await taken(queues)
        queues.settle(first)
        (after,) = await taken(queues)
        return left, between.token, after.token

    assert within(go()) == (0, "y", "a3")


def test_it_tells_how_many_wait_for_their_turn_with_a_key() -> None:
    """More of a crowded key need not be fetched yet."""

    async def go() -> list[object]:
        queues = Lanes()
        for name, key in (("a1", "a"), ("b1", "b"), ("a2", "a"), ("b2", "b"), ("a3", "a")):
            queues.put(delivery(name, key))
        queues.put(delivery("x"))
        await taken(queues, 3)
        parked = [queues.parked(key) for key in ("a", "b", "c", None)]
        return [parked, queues.crowded(1), queues.crowded(2), queues.crowded(3)]

    assert within(go()) == [[2, 1, 0, 0], ["a", "b"], ["a"], []]


@pytest.mark.parametrize("key", ["a", None])
def test_a_delivery_is_settled_once(key: str | None) -> None:
    """Twice would hand its key to two."""

    async def go() -> Lanes:
        queues = Lanes()
        queues.put(delivery("a1", key))
        (first,) = await taken(queues)
        queues.settle(first)
        with pytest.raises(KeyError):
            queues.settle(first)
        return queues

    assert within(go()).taken == {}
