"""Observed: in every simulated run, each attempt at a message is observed from begin to end."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import define, field

from arvo import Event, System
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.worker.worker import Worker
from arvo.testing import RecordingObserver, simulate
from arvo.testing.conformance.kit.proxy import show_attributes
from tests.family import begin, family, plan
from tests.shop import order_request, shop
from tests.testing.simulation.test_planted import cancelled_orders, events, system


@define(eq=False)
class Observed:
    """A worker, its observer, and the deliveries that its process has had in hand."""

    worker: Worker
    observer: RecordingObserver = field(factory=RecordingObserver)
    # Deliveries are compared by what they are, not by what they say.
    taken: list[Delivery] = field(factory=list)
    received: list[Delivery] = field(factory=list)

    @property
    def is_dead(self) -> bool:
        backend: Any = self.worker.backend
        dead: bool = backend.process.is_dead
        return dead


class NotesReceived:
    """The observer of a worker, which also notes the deliveries."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def received(self, message: Message, delivery: Delivery | None, began: Any = None) -> Any:
        if delivery is not None:
            self._observed.received.append(delivery)
        return self._observed.observer.received(message, delivery, began)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._observed.observer, name)


class NotesTaken:
    """The backend of a worker, which also notes the deliveries that it hands out."""

    def __init__(self, backend: Any, observed: Observed) -> None:
        self._backend, self._observed = backend, observed
        show_attributes(self, backend)

    async def receive(self, queue: str) -> Delivery:
        delivery: Delivery = await self._backend.receive(queue)
        self._observed.taken.append(delivery)
        return delivery

    async def poll(self, queues: Mapping[str, int], limit: int) -> list[Delivery]:
        deliveries: list[Delivery] = await self._backend.poll(queues, limit)
        self._observed.taken += deliveries
        return deliveries

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


def observed_worker(workers: list[Observed]) -> type[Worker]:
    """Return a worker that puts itself and what it does into a list."""

    class ObservedWorker(Worker):
        def __attrs_post_init__(self) -> None:
            observed = Observed(self)
            self.backend = NotesTaken(self.backend, observed)
            super().__attrs_post_init__()
            self.observer = NotesReceived(observed)
            workers.append(observed)

    return ObservedWorker


@pytest.mark.parametrize("storage", ["store", "pair"])
@pytest.mark.parametrize(
    ("system", "sent"),
    [
        (shop, [order_request(), order_request("i2", 2_000.0)]),
        (system, events()),
        (system, cancelled_orders()),
        (family, [begin(plan("complete", plan("complete"), plan("fail"), after=5))]),
    ],
    ids=["shop", "system", "cancelled", "family"],
)
def test_each_delivery_has_one_span_that_ends_once(
    system: System, sent: list[Event[Any]], storage: Any
) -> None:
    """An observer that misses an end, or gets two, shows spans that never were or never end.

    The spans of a process that crashed end with it.
    """
    workers: list[Observed] = []

    simulate(system, sent, worker=observed_worker(workers), storage=storage, runs=25)

    spans = [span for each in workers for span in each.observer.spans]
    assert len(spans) > 100
    assert {"handled", "retried"} <= {span.outcome for span in spans}
    assert [span.name for span in spans if len(span.ends) > 1] == []
    for each in workers:
        # A delivery that could not be returned to its broker is handed out again.
        received, taken = Counter(map(id, each.received)), Counter(map(id, each.taken))
        # Those that wait behind another one of their workflow are taken with it, or later.
        behind = [delivery for delivery in received if delivery not in taken]
        assert all(received[delivery] == 1 for delivery in behind)
        # A process that crashed may have had no time to begin.
        assert received <= taken + Counter(behind)
        assert each.is_dead or taken <= received
        assert each.is_dead or [span.name for span in each.observer.open] == []
