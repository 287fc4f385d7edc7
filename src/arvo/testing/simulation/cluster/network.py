"""Network: the state that all simulated processes share."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, final

from attrs import define, evolve, field

from arvo.core.events.event import Event
from arvo.handlers.effect import EffectTable, Perform
from arvo.interpreters.ports.messages import Delivery
from arvo.testing.simulation.checks.checker import Checker
from arvo.testing.simulation.cluster.loop import VirtualLoop
from arvo.testing.simulation.cluster.queue import MessageQueue
from arvo.testing.simulation.cluster.services import Registry
from arvo.testing.simulation.faults.fault import Fault, Server
from arvo.testing.simulation.faults.message import Poison
from arvo.testing.simulation.faults.plan import FaultPlan


@final
@define(eq=False)
class Network:
    """The servers, the fault plan and the checker, and the tasks that wait for a queue.

    *queue*: the messages of the store or of the broker. *lease*: the seconds after which the
    deliveries of a silent process are reassigned. *registry*: what the processes serve.
    *down_until*: the time until which a server answers no process.
    *poisons*: by the source and id of an event, the faults that make it end workers. *on_client* is
    called with a fault in which a client or an outsider sends an event, and the delivery in
    progress.
    *missing_effect*: an effect that a handler called and that the table lacks.
    """

    loop: VirtualLoop
    queue: MessageQueue[Any, Any]
    plan: FaultPlan
    checker: Checker
    effects: EffectTable
    lease: float
    registry: Registry = field(init=False)
    down_until: dict[Server, float] = field(factory=dict, init=False)
    poisons: dict[tuple[str, str], Poison] = field(factory=dict, init=False)
    on_client: Callable[[Fault, Delivery], None] = field(default=lambda _, __: None, init=False)
    missing_effect: Perform[Any] | None = field(default=None, init=False)
    dead_letter_count: int = field(default=0, init=False)
    _waiters: dict[str, list[asyncio.Future[None]]] = field(factory=dict, init=False)
    # By function, the queues about which it wants to know.
    _subscribers: dict[Callable[[], None], Mapping[str, int]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.registry = Registry(self.lease)

    def poison(self, event: Event[Any]) -> Poison | None:
        """Return the fault by which an event ends its worker now, if there is one."""
        fault = self.poisons.get((event.source, event.id))
        if fault is None or not fault.deaths:
            return None
        self.poisons[event.source, event.id] = evolve(fault, deaths=fault.deaths - 1)
        return fault

    async def wait(self, queue: str) -> None:
        """Wait until a queue may have a message."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(queue, []).append(waiter)
        await waiter

    def subscribe(self, queues: Mapping[str, int], on_ready: Callable[[], None]) -> None:
        """Call *on_ready* whenever one of *queues* may have a message."""
        self._subscribers[on_ready] = queues

    def unsubscribe(self, on_ready: Callable[[], None]) -> None:
        """End a subscription."""
        del self._subscribers[on_ready]

    def notify(self, queue: str) -> None:
        """Wake all tasks that wait for a queue; the first one to reach the store gets a message."""
        for on_ready, queues in [*self._subscribers.items()]:
            if queue in queues:
                on_ready()
        for waiter in self._waiters.pop(queue, ()):
            if not waiter.done():
                waiter.set_result(None)
