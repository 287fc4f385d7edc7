"""Death counts: the attempts and deaths that a pair must count on every broker."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from arvo import InMemoryMachineMemory
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.paired.deaths import PAGES
from arvo.interpreters.ports.broker import Broker
from arvo.interpreters.ports.machine_memory import Closeable
from arvo.interpreters.ports.messages import Delivery, Message, queue_of

Counts: TypeAlias = tuple[int, int]

# What happens to a delivery, and its attempt and deaths before that. A release uses up no attempt,
# and of the deaths without `mark_started` only the first one counts.
LIFE: tuple[tuple[str, Counts], ...] = (
    ("nack", (1, 0)),
    ("release", (2, 0)),
    ("nack", (2, 0)),
    ("defer", (3, 0)),
    ("die", (4, 0)),
    ("die", (5, 1)),
    ("start and die", (5, 1)),
    ("die", (6, 2)),
    ("start and die", (6, 2)),
    ("ack", (7, 3)),
)


async def count_deaths(open_broker: Callable[[], Broker], message: Message) -> list[Counts]:
    """Send a message through its `LIFE`, and return its attempt and deaths at each delivery."""
    memory, seen = InMemoryMachineMemory(), []
    pair = Pair(memory, open_broker())
    await pair.send(message)
    for what, _ in LIFE:
        delivery = await pair.receive(queue_of(message.to))
        seen.append((delivery.attempt, delivery.deaths))
        if what == "start and die":
            await pair.mark_started(delivery)
        if what.endswith("die"):
            await _die(pair)
            pair = Pair(memory, open_broker())
        else:
            await _settle(pair, delivery, what)
    await pair.close()
    await _close(pair.broker)
    pages = [await memory.read(f"(deaths) {page}") for page in range(PAGES)]
    assert not [page for page in pages if page is not None and b"[" in page.record]
    return seen


async def _settle(pair: Pair, delivery: Delivery, how: str) -> None:
    settle: dict[str, Callable[[], Awaitable[None]]] = {
        "ack": lambda: pair.ack(delivery),
        "nack": lambda: pair.nack(delivery, 0.0),
        "defer": lambda: pair.defer(delivery, 0.0),
        "release": lambda: pair.release(delivery, 0.0),
    }
    await settle[how]()


async def _die(pair: Pair) -> None:
    """End a process without `close`: the broker notices that its connection is gone."""
    await pair._consumer.close()
    await _close(pair.broker)


async def _close(broker: Broker) -> None:
    if isinstance(broker, Closeable):
        await broker.close()
