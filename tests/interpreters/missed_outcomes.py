"""Missed outcomes: workflows end while no process listens to them, and a listener comes later."""

from collections.abc import Callable
from typing import Any

from arvo import Backend, Event, Runtime, System
from tests.engine.system.test_outcomes import BILLING, Order, Shipped, order, part
from tests.interpreters.until import until

WORKERS = System([order, part], subscriptions={BILLING: [order]})
# It only listens: the workflows run in other processes.
LISTENING = System([], remote=[order], subscriptions={BILLING: [order]})


def begin(number: int, amount: int = 3) -> Event[Any]:
    """Make the event that begins an order; one with a negative amount fails."""
    return order["1.0.0"].init(Order(amount), source="com.shop.web", workflow_id=f"order-{number}")


async def hear_later(open_backend: Callable[[], Backend]) -> None:
    """Let one order complete and one fail, and then start the process with the listener."""
    heard: list[Event[Any]] = []
    async with Runtime(WORKERS, open_backend(), grace=30) as workers:
        done = await workers.request(begin(1), timeout=30)
        failed = await workers.request(begin(2, amount=-1), timeout=30)
        assert await workers.dead_letters() == ()
    async with Runtime(LISTENING, open_backend(), grace=30) as listening:
        listening.on_workflow_complete(BILLING)(heard.append)
        await until(lambda: len(heard) == 2)
        assert await listening.dead_letters() == ()
    by_subject = {event.subject: event for event in heard}
    completion = by_subject[begin(1).subject]
    assert (completion.type, completion.data) == ("arvo.orc.shop.order.done", Shipped(3))
    assert completion.data == done.data
    failure = by_subject[begin(2).subject]
    assert (failure.to, failure.data.message) == (BILLING, failed.data.message)
