"""Lanes: each delivery to one taker, those of one key one at a time and in order."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from arvo.engine.step.route import Inside, Outside
from arvo.interpreters.delivery.queues import Lanes
from arvo.interpreters.ports.backend import Delivery, Post, Unavailable
from tests.shop import charging

T = TypeVar("T")
PAY, ORDER = "com.payment.charge", "arvo.orc.order.fulfil"


def within(work: Coroutine[Any, Any, T]) -> T:
    async def go() -> T:
        async with asyncio.timeout(5):
            return await work

    return asyncio.run(go())


def delivery(name: str, key: str | None = None, lane: str = PAY) -> Delivery:
    return Delivery(Post(charging(name), Inside(lane, key)), 1, name)


def names(deliveries: list[Delivery]) -> list[object]:
    return [each.token for each in deliveries]


async def taken(lanes: Lanes, count: int = 1, lane: str = PAY) -> list[Delivery]:
    return [await lanes.receive(lane) for _ in range(count)]


async def resting() -> None:
    """Let all that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_key_is_handed_on_in_the_order_that_its_deliveries_came() -> None:
    """I4; and whoever has waited longest for a key comes before what is ready behind it."""

    async def go() -> list[object]:
        lanes = Lanes()
        for each in (delivery("a1", "a"), delivery("a2", "a"), delivery("a3", "a"), delivery("x")):
            lanes.put(each)
        first, other = await taken(lanes, 2)
        lanes.put(delivery("y"))
        found, turn = [first, other], first
        for _ in range(3):
            lanes.settle(turn)
            (turn,) = await taken(lanes)
            found.append(turn)
        return names(found)

    assert within(go()) == ["a1", "x", "a2", "a3", "y"]


def test_each_lane_has_its_own_queue() -> None:
    """A slow handler keeps nobody else from work."""

    async def go() -> tuple[object, ...]:
        lanes = Lanes()
        lanes.put(delivery("p"))
        lanes.put(delivery("o", lane=ORDER))
        lanes.put(Delivery(Post(charging("h"), Outside("human")), 1, "h"))
        ready = lanes.ready
        (found,) = await taken(lanes, lane=ORDER)
        return ready, found.token, lanes.ready, names(list(lanes.taken.values()))

    assert within(go()) == (3, "o", 2, ["o"])


def test_a_lane_is_hungry_while_somebody_waits_and_nothing_is_ready() -> None:
    """So much is fetched for it, and no more."""

    async def go() -> list[object]:
        lanes = Lanes()
        seen: list[object] = [lanes.hungry(), lanes.is_hungry(PAY)]
        takers = [asyncio.create_task(lanes.receive(PAY)) for _ in range(2)]
        await resting()
        seen += [lanes.hungry(), lanes.is_hungry(PAY), lanes.is_hungry(ORDER)]
        lanes.put(delivery("p"))
        seen += [lanes.hungry(), lanes.is_hungry(PAY)]
        await resting()
        seen += [lanes.hungry()]
        takers[1].cancel()
        await resting()
        seen += [lanes.hungry(), lanes.is_hungry(PAY), takers[0].done()]
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
        lanes = Lanes()
        first, second, third = (asyncio.create_task(lanes.receive(PAY)) for _ in range(3))
        await resting()
        lanes.put(delivery("p"))
        first.cancel()
        found = await second
        # One that is cancelled while it only waits wakes nobody.
        third.cancel()
        await resting()
        return found.token, first.cancelled(), third.cancelled(), lanes.ready

    assert within(go()) == ("p", True, True, 0)


def test_a_taker_that_gives_up_wakes_nobody() -> None:
    """There is nothing for them, and they would lose their place."""

    async def go() -> tuple[object, ...]:
        lanes = Lanes()
        first, second, third = (asyncio.create_task(lanes.receive(PAY)) for _ in range(3))
        await resting()
        first.cancel()
        await resting()
        waiting = lanes.hungry()
        lanes.put(delivery("p"))
        found = await second
        third.cancel()
        await resting()
        return waiting, found.token, third.cancelled()

    assert within(go()) == ({PAY: 2}, "p", True)


def test_all_who_wait_hear_of_an_error() -> None:
    """In every lane; who has given up is left alone."""

    async def go() -> list[object]:
        lanes = Lanes()
        takers = [asyncio.create_task(lanes.receive(lane)) for lane in (PAY, ORDER, PAY)]
        await resting()
        takers[0].cancel()
        lanes.fail(Unavailable("down"))
        return [type(each) for each in await asyncio.gather(*takers, return_exceptions=True)]

    assert within(go()) == [asyncio.CancelledError, Unavailable, Unavailable]


def test_what_is_put_off_comes_after_its_time_or_is_given_back() -> None:
    """Each by itself."""

    async def go() -> tuple[object, ...]:
        lanes = Lanes()
        for name, delay in (("soon", 0.0), ("later", 60.0), ("too", 0.0)):
            lanes.put_later(delivery(name), delay)
        delayed = lanes.delayed
        found = await taken(lanes, 2)
        rest = lanes.delayed
        stopped = lanes.stop_clocks()
        return delayed, sorted(map(str, names(found))), rest, names(stopped), lanes.delayed

    assert within(go()) == (3, ["soon", "too"], 1, ["later"], 0)


def test_what_was_never_settled_comes_again_first_in_order() -> None:
    """As in a process that begins anew; those that waited for its key come behind it."""

    async def go() -> list[object]:
        lanes = Lanes()
        names_ = (("a1", "a"), ("a2", "a"), ("x", None), ("b1", "b"))
        for name, key in names_:
            lanes.put(delivery(name, key))
        await taken(lanes, 3)
        lanes.put(delivery("last"))
        lanes.return_taken()
        found = []
        while lanes.ready:
            found += await taken(lanes)
            lanes.settle(found[-1])
        return names(found)

    assert within(go()) == ["a1", "a2", "x", "b1", "last"]


def test_what_is_ready_is_let_go_of_and_what_is_under_way_keeps_its_key() -> None:
    """Others have it now; what comes again waits until ours is over."""

    async def go() -> tuple[object, ...]:
        lanes = Lanes()
        for name, key in (("a1", "a"), ("x", None), ("a2", "a"), ("b1", "b")):
            lanes.put(delivery(name, key))
        first, _ = await taken(lanes, 2)
        lanes.forget_ready()
        left = lanes.ready
        lanes.put(delivery("a3", "a"))
        lanes.put(delivery("y"))
        (between,) = await taken(lanes)
        lanes.settle(first)
        (after,) = await taken(lanes)
        return left, between.token, after.token

    assert within(go()) == (0, "y", "a3")


def test_it_tells_how_many_wait_for_their_turn_with_a_key() -> None:
    """More of a crowded key need not be fetched yet."""

    async def go() -> list[object]:
        lanes = Lanes()
        for name, key in (("a1", "a"), ("b1", "b"), ("a2", "a"), ("b2", "b"), ("a3", "a")):
            lanes.put(delivery(name, key))
        lanes.put(delivery("x"))
        await taken(lanes, 3)
        parked = [lanes.parked(key) for key in ("a", "b", "c", None)]
        return [parked, lanes.crowded(1), lanes.crowded(2), lanes.crowded(3)]

    assert within(go()) == [[2, 1, 0, 0], ["a", "b"], ["a"], []]


@pytest.mark.parametrize("key", ["a", None])
def test_a_delivery_is_settled_once(key: str | None) -> None:
    """Twice would hand its key to two."""

    async def go() -> Lanes:
        lanes = Lanes()
        lanes.put(delivery("a1", key))
        (first,) = await taken(lanes)
        lanes.settle(first)
        with pytest.raises(KeyError):
            lanes.settle(first)
        return lanes

    assert within(go()).taken == {}
