"""FlowVersion: one version of a flow, with its function and contracts."""

from collections.abc import Callable, Generator, Mapping
from typing import Any, final

from attrs import frozen

from arvo.core.command import Complete, Emit, Fail
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.classes import type_name
from arvo.core.violations.issue import Issue, short_repr
from arvo.handlers.composed import function_place
from arvo.handlers.flow.operations import Flow
from arvo.handlers.services import Services, accepts_emit
from arvo.interrupts import is_interrupt


@final
@frozen(eq=False)
class FlowVersion:
    """One version of a flow: its function, its services and its signals."""

    function: Callable[[Event[Any]], Flow[Any]]
    services: Services
    signals: Services

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

    def refuse_outcome(self, completed: Payload[Any], value: object) -> Issue | None:
        """Return an issue for a value that the function returned and that can be no outcome.

        *completed*: the outcomes of the contract. Whether the fields of a payload fit is checked
        where its event is made.
        """
        classes = completed.instance_types
        if isinstance(value, Complete | Mapping) or (classes and isinstance(value, classes)):
            return None
        if not classes and not isinstance(value, Fail | type | Generator):
            return None
        names = " or ".join(map(type_name, completed.types)) or "an outcome"
        expected = f"{names}, or `return fail(reason)` to fail"
        path = f"return of {function_place(self.function)}"
        return Issue(path, expected, short_repr(value))


def answered_signal(flow_version: FlowVersion, emit: Emit) -> VersionedContract[Any] | None:
    """Return the signal contract that has *emit* as an answer; None for a request to a service."""
    if any(accepts_emit(service, emit) for service in flow_version.services):
        return None
    for signal in flow_version.signals:
        types = signal.types_of(emit.payload) if emit.type is None else (emit.type,)
        if any(name in signal.emitted for name in types):
            return signal
    return None


def _finished(value: Any, error: BaseException | None = None) -> Flow[Any]:
    """Return a flow that performs no operation: it returns *value* or raises *error*."""
    yield from ()
    if error is not None:
        raise error
    return value
