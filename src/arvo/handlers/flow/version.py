"""FlowVersion: one version of a flow, with its function and contracts."""

from collections.abc import Callable, Generator
from typing import Any, final

from attrs import frozen

from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.handlers.flow.operations import Flow
from arvo.interrupts import is_interrupt


@final
@frozen(eq=False)
class FlowVersion:
    """One version of a flow: its function, its services and its signals."""

    function: Callable[[Event[Any]], Flow[Any]]
    services: tuple[VersionedContract[Any], ...]
    signals: tuple[VersionedContract[Any], ...]

    def call(self, event: Event[Any]) -> Flow[Any]:
        """Call the function; return its generator, which has not started.

        A function that is no generator function is run here. The generator then returns its result
        or raises its exception, so that both take the same path as those of any flow.
        """
        try:
            returned: Any = self.function(event)
        except BaseException as error:
            if is_interrupt(error):
                raise
            return _finished(None, error)
        return returned if isinstance(returned, Generator) else _finished(returned)


def _finished(value: Any, error: BaseException | None = None) -> Flow[Any]:
    """Return a flow that performs no operation: it returns *value* or raises *error*."""
    yield from ()
    if error is not None:
        raise error
    return value
