"""Stepper: takes the steps of a simulated process, and performs their effects by substitutes."""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any, final

from attrs import define, evolve, field

from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.trace_context import TraceContext
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
    # The deliveries of a tick, by the identity of their events: a step has the event alone.
    _polled: dict[int, Delivery] = field(factory=dict, init=False)
    # A tick goes on to its end, but a process does nothing after it was ended.
    _is_ended: bool = field(default=False, init=False)
    _decisions: dict[asyncio.Task[Any] | None, Decision] = field(factory=dict, init=False)
    # Those of the deliveries of ticks, by their identity: another task may commit them.
    _ticked: dict[int, Decision] = field(factory=dict, init=False)

    def handle(self, delivery: Delivery) -> None:
        """Record the delivery that the current task handles from now on."""
        _HANDLED.set(delivery)

    def poll(self, deliveries: Sequence[Delivery]) -> None:
        """Record the deliveries that the next tick handles."""
        self._polled = {id(each.message.event): each for each in deliveries}

    def step(
        self,
        system: System,
        event: Event[Any],
        record: Record | None,
        *,
        now: datetime,
        performed: Sequence[Performed] = (),
        trace: TraceContext | None = None,
    ) -> StepResult:
        """Take the pure step, and record its inputs."""
        decision = Decision(system, now, tuple(performed))
        if (polled := self._polled.pop(id(event), None)) is not None:
            self.handle(polled)
            self._ticked[id(polled)] = decision
        self._decisions[asyncio.current_task()] = decision
        if not self._is_ended and (poison := self.network.poison(event)) is not None:
            self._is_ended = True
            self.network.checker.losses.add_kill(_HANDLED.get())
            self.crash(poison.seconds)
        return step_plain(system, event, record, now=now, performed=performed, trace=trace)

    def decision(self) -> Decision:
        """Return the inputs of the last step of the current task."""
        return self._decisions[asyncio.current_task()]

    def take_decision(self, delivery: Delivery) -> Decision:
        """Return the inputs of the steps of a chain that begins with a delivery of a tick."""
        return self._ticked.pop(id(delivery))

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
