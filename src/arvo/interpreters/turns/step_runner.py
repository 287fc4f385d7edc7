"""Step runner: takes the step of a delivery, and performs the effects that the step asks for."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, final

from attrs import frozen

from arvo.core.commit import Commit
from arvo.core.record import Record
from arvo.core.violations.violation import Violation
from arvo.engine.step.route import ToHandler
from arvo.engine.step.step import StepResult, step_plain
from arvo.engine.system.system import System
from arvo.handlers.effect import Perform, Performed
from arvo.handlers.flow.handler import FlowHandler
from arvo.interpreters.delivery.clock import whole_millisecond
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.messages import Delivery, queue_of
from arvo.interpreters.ports.results import Fenced
from arvo.interpreters.turns.open_effects import OpenEffects
from arvo.interpreters.turns.progress import TurnProgress


@final
@frozen(kw_only=True)
class StepRunner:
    """Takes steps with their effects. *step* is the pure step.

    *perform* carries out an effect that the handler of an address asks for.
    """

    system: System
    backend: Backend
    now: Callable[[], datetime]
    perform: Callable[[str, Perform[Any]], Awaitable[Performed]]
    step: Callable[..., StepResult] = step_plain

    async def take(self, delivery: Delivery, record: Record | None) -> Commit | Violation | Fenced:
        """Take the step of a delivery on *record*; each effect is performed once.

        The result of an effect is stored with the delivery before the step is taken again, so that
        a redelivery, or a step after a conflict, continues behind it. Returns `Fenced` where the
        delivery belongs to another worker by now.
        """
        event, to = delivery.message.event, delivery.message.to
        progress = self._progress(delivery)
        performed: list[Performed] = []
        effects = OpenEffects(partial(self.perform, queue_of(to)))
        try:
            while True:
                now = whole_millisecond(self.now())
                result = self.step(self.system, event, record, now=now, performed=performed)
                if not isinstance(result, Perform):
                    return result
                done = await progress.next(result, len(performed))
                if not isinstance(done, Performed):
                    done = await effects.next(done)
                    if isinstance(await progress.record(done), Fenced):
                        return Fenced()
                performed.append(done)
        finally:
            await effects.close()

    async def forget(self, delivery: Delivery) -> None:
        """Delete the results of a delivery's effects: its next step performs them again."""
        await self._progress(delivery).clear()

    def _progress(self, delivery: Delivery) -> TurnProgress:
        to = delivery.message.to
        assert isinstance(to, ToHandler)
        is_flow = isinstance(self.system.handler_at(to.address), FlowHandler)
        return TurnProgress(self.backend, delivery, is_flow)
