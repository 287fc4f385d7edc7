"""Net: what all simulated processes share."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, final

from attrs import define, field

from arvo.handlers.effect import Perform
from arvo.testing.simulation.checker import Watch
from arvo.testing.simulation.plan import Plan
from arvo.testing.simulation.store import Store

Effects: TypeAlias = Mapping[Callable[..., Any], Callable[..., Any]]


@final
@define(eq=False)
class Net:
    """What all processes share: the store, the plan, the watch, and who waits in which lane.

    *lease*: seconds after which a process that nobody hears of is taken for dead. *lacks*: an
    effect that was asked for and is not in the table.
    """

    store: Store
    plan: Plan
    watch: Watch
    effects: Effects
    lease: float
    lacks: Perform[Any] | None = field(default=None, init=False)
    letters: int = field(default=0, init=False)
    _waiting: dict[str, list[asyncio.Future[None]]] = field(factory=dict, init=False)

    async def wait(self, queue: str) -> None:
        """Wait until there may be something in a lane."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(queue, []).append(waiter)
        await waiter

    def stir(self, queue: str) -> None:
        """Wake all who wait in a lane; the quickest takes what is there."""
        for waiter in self._waiting.pop(queue, ()):
            if not waiter.done():
                waiter.set_result(None)
