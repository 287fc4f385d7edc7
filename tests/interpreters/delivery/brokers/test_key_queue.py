"""Key queue: messages of one key wait for each other, through delays and returns."""

import asyncio

import pytest

from arvo import EncodedDelivery, EncodedMessage
from arvo.interpreters.delivery.brokers.key_queue import KeyQueue
from tests.interpreters.within import within

LONG_SECONDS = 600.0
pytestmark = pytest.mark.promise("I4")


def delivery(name: str) -> EncodedDelivery:
    return EncodedDelivery(EncodedMessage("com.payment.charge", name.encode()))


def pop_all(queue: KeyQueue) -> list[str]:
    """Pop what is ready."""
    names = []
    while (popped := queue.pop()) is not None:
        names.append(popped.message.body.decode())
    return names


def test_a_delivery_without_a_key_waits_for_none() -> None:
    """A handler without memory handles several at a time."""
    queue = KeyQueue(lambda: None)

    for name in "ab":
        queue.add(delivery(name), "")
    queue.release("")

    assert pop_all(queue) == ["a", "b"]


def test_a_delivery_that_is_put_back_keeps_its_key() -> None:
    """Another key goes on meanwhile."""

    async def go() -> list[list[str]]:
        queue = KeyQueue(lambda: None)
        for name, key in (("a1", "a"), ("a2", "a"), ("b1", "b")):
            queue.add(delivery(name), key)
        popped = [pop_all(queue)]
        queue.put_back(delivery("a1"), LONG_SECONDS)
        popped.append(pop_all(queue))
        queue.put_back(delivery("a1 again"))
        popped.append(pop_all(queue))
        queue.release("a")
        popped.append(pop_all(queue))
        queue.close()
        return popped

    assert within(go()) == [["a1", "b1"], [], ["a1 again"], ["a2"]]


def test_a_delivery_that_was_delayed_behind_another_waits_for_both() -> None:
    """As a process finds them that takes over a partition."""

    async def go() -> list[str]:
        ready = asyncio.Event()
        queue, loop = KeyQueue(ready.set), asyncio.get_running_loop()
        queue.add(delivery("first"), "a")
        queue.add(delivery("second"), "a", 0.2)
        added_at = loop.time()
        assert pop_all(queue) == ["first"]
        queue.release("a")
        assert pop_all(queue) == []
        ready.clear()
        await ready.wait()
        assert loop.time() - added_at >= 0.19
        return pop_all(queue)

    assert within(go()) == ["second"]


def test_a_closed_queue_delivers_nothing() -> None:
    """Its messages belong to another process, and what a worker settles late changes nothing."""

    async def go() -> list[str]:
        woken: list[None] = []
        queue = KeyQueue(lambda: woken.append(None))
        queue.add(delivery("in hand"), "a")
        queue.add(delivery("behind"), "a")
        queue.pop()
        queue.add_later(delivery("later"), "b", 0.0)
        queue.close()
        number = len(woken)
        queue.release("a")
        queue.put_back(delivery("back"))
        queue.put_first(delivery("first"))
        queue.add(delivery("new"), "c")
        await asyncio.sleep(0.01)
        assert len(woken) == number
        return pop_all(queue)

    assert within(go()) == []
