"""Stepper: takes the steps of a simulated process, and performs their effects by substitutes."""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any, final

from attrs import define, evolve, field

from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.engine.step.step import StepResult, step_plain
from arvo.engine.system.system import System
from arvo.handlers.effect import Perform, Performed
from arvo.interpreters.calls.effects import perform
from arvo.interpreters.calls.threads import ThreadPool
from arvo.interpreters.ports.messages import Delivery
from arvo.testing.simulation.checks.trace import Decision
from arvo.testing.simulation.cluster.loop import wait_forever
from arvo.testing.simulation.cluster.network import Network

# The delivery that a task handles; the tasks that it starts for effects inherit it.
_HANDLED: "ContextVar[Delivery]" = ContextVar("_HANDLED")


@final
@define(eq=False)
class Stepper:
    """The steps and effects of one process. *latency* draws the seconds that an effect takes.

    The inputs of each task's last step are recorded, so that the checker can repeat it. *crash*
    ends the process, and takes the seconds after which another one starts.
    """

    network: Network
    latency: Callable[[], float]
    crash: Callable[[float], None]
    _decisions: dict[asyncio.Task[Any] | None, Decision] = field(factory=dict, init=False)

    def handle(self, delivery: Delivery) -> None:
        """Record the delivery that the current task handles from now on."""
        _HANDLED.set(delivery)

    def step(
        self,
        system: System,
        event: Event[Any],
        record: Record | None,
        *,
        now: datetime,
        performed: Sequence[Performed],
    ) -> StepResult:
        """Take the pure step, and record its inputs."""
        self._decisions[asyncio.current_task()] = Decision(system, now, tuple(performed))
        if (poison := self.network.poison(event)) is not None:
            self.network.checker.losses.add_kill(_HANDLED.get())
            self.crash(poison.seconds)
        return step_plain(system, event, record, now=now, performed=performed)

    def decision(self) -> Decision:
        """Return the inputs of the last step of the current task."""
        return self._decisions[asyncio.current_task()]

    async def perform(self, address: str, effect: Perform[Any]) -> Performed:
        """Run an effect's substitute, with its retries and its timeout, in virtual time."""
        substitute = self.network.effects.get(effect.function)
        if substitute is None:
            # The run sees it and stops.
            self.network.missing_effect = effect
            await wait_forever()
            raise AssertionError("unreachable")
        function = substitute
        for fault in self.network.plan.next("effect"):
            self.network.on_client(fault, _HANDLED.get())

        async def call(*args: Any) -> Any:
            # Not in a thread, which would make the run depend on scheduling.
            self.network.checker.world.performed.append(effect)
            return function(*args)

        await asyncio.sleep(self.latency())
        performed = await perform(evolve(effect, function=call), ThreadPool(address, 1))
        return evolve(performed, effect=effect)
