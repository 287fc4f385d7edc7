"""Network: the state that all simulated processes share."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, final

from attrs import define, field

from arvo.handlers.effect import Perform
from arvo.testing.simulation.checks.checker import Checker
from arvo.testing.simulation.cluster.services import Registry
from arvo.testing.simulation.cluster.store import Store
from arvo.testing.simulation.faults.plan import FaultPlan

# Functions that handlers call as effects, and the functions that run instead.
EffectTable: TypeAlias = Mapping[Callable[..., Any], Callable[..., Any]]


@final
@define(eq=False)
class Network:
    """The store, the fault plan and the checker, and the tasks that wait for a queue.

    *lease*: the seconds after which the deliveries of a silent process are reassigned. *registry*:
    what the processes serve.
    *missing_effect*: an effect that a handler called and that the table lacks.
    """

    store: Store
    plan: FaultPlan
    checker: Checker
    effects: EffectTable
    lease: float
    registry: Registry = field(init=False)
    missing_effect: Perform[Any] | None = field(default=None, init=False)
    dead_letter_count: int = field(default=0, init=False)
    _waiters: dict[str, list[asyncio.Future[None]]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.registry = Registry(self.lease)

    async def wait(self, queue: str) -> None:
        """Wait until a queue may have a message."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(queue, []).append(waiter)
        await waiter

    def notify(self, queue: str) -> None:
        """Wake all tasks that wait for a queue; the first one to reach the store gets a message."""
        for waiter in self._waiters.pop(queue, ()):
            if not waiter.done():
                waiter.set_result(None)
