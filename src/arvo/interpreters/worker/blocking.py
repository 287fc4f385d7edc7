"""Blocking: finds handlers that block the event loop."""

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, final

from attrs import define, field

from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.engine.step.step import Step, StepResult
from arvo.engine.system.system import System
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.resumable import Resumable
from arvo.interpreters.delivery.log import fields, get_logger

logger: Final = get_logger("worker")

# All deliveries and heartbeats of the process wait while a handler computes. What takes longer
# belongs into an effect that is a plain function, which runs in a thread.
BLOCKED_SECONDS: Final = 0.25


@final
@define(eq=False)
class TimedStep:
    """The pure *step*, which logs each call that takes longer than `BLOCKED_SECONDS`.

    *clock*: a monotonic clock, in seconds. *taken*: the arguments of the call that now
    runs.
    """

    step: Step
    clock: Callable[[], float]
    taken: tuple[System, Event[Any], Record | None] | None = field(default=None, init=False)

    def __call__(
        self,
        system: System,
        event: Event[Any],
        record: Record | None,
        *,
        now: datetime,
        **options: Any,
    ) -> StepResult:
        """Take the step."""
        began = self.clock()
        self.taken = system, event, record
        try:
            result = self.step(system, event, record, now=now, **options)
        finally:
            self.taken = None
        seconds = self.clock() - began
        if seconds > BLOCKED_SECONDS:
            name, code = describe_function(system, event, record)
            extra = fields(
                event,
                handler=event.to,
                revision=None if record is None else record.revision,
                seconds=round(seconds, 3),
                function=name,
                code=code,
            )
            logger.warning("a handler blocked the event loop", extra=extra)
        return result


def describe_function(
    system: System, event: Event[Any], record: Record | None
) -> tuple[str | None, str | None]:
    """Return the name of the function that handles an event, and the module and line of its
    definition, if they are known.
    """
    function = _find_function(system.handler_at(event.to), event, record)
    if not callable(function):
        return None, None
    unwrapped: Any = inspect.unwrap(function)
    code = getattr(unwrapped, "__code__", None)
    if code is None:
        # A function that `arvo.compose` made, or another object that is called.
        return repr(function), None
    name = getattr(unwrapped, "__qualname__", code.co_name)
    return name, f"{unwrapped.__module__}:{code.co_firstlineno}"


def _find_function(handler: object, event: Event[Any], record: Record | None) -> object:
    """Return the function that handles an event; None for a statechart, or if it is not known."""
    functions: Mapping[str, object]
    match handler:
        case EventHandler() | Resumable():
            functions = handler.functions
        case FlowHandler():
            functions = {name: it.function for name, it in handler.flow_versions.items()}
        case _:
            return None
    version = event.dataschema.rpartition("/")[2] if event.dataschema else ""
    if record is not None:
        version = record.version
    return next(iter(functions.values())) if len(functions) == 1 else functions.get(version)
