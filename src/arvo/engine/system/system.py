"""System: the handlers that live together, as a value."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias, final

from attrs import field, frozen

from arvo.core.contracts.contract import Contract
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.system.lint import findings
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.resumable import Resumable

WorkflowHandler: TypeAlias = Resumable[Any] | Orchestrator[Any] | FlowHandler[Any, Any]
Handler: TypeAlias = EventHandler[Any] | WorkflowHandler


@final
@frozen(init=False)
class System:
    """Handlers, each at its own address, that fit each other.

    A value: it can be checked, run as a function (`run`) or for real (`Runtime`). *stacks*: whether
    system errors carry the stack trace; it tells strangers too much, so the default is no (B37).

    Two handlers at one address, and a workflow that asks a service by another contract than the
    service's own, are refused with `Violated`, which names both sides.
    """

    handlers: tuple[Handler, ...]
    stacks: bool
    _by_address: Mapping[str, Handler] = field(repr=False, eq=False)

    def __init__(self, handlers: Iterable[Handler], *, stacks: bool = False) -> None:
        listed = tuple(handlers)
        by_address: dict[str, Handler] = {}
        issues: list[Issue] = []
        for position, handler in enumerate(listed):
            if handler.source in by_address:
                other = by_address[handler.source].contract.uri
                got = f"{handler.source} of {handler.contract.uri}, taken by {other}"
                issues.append(Issue(f"handlers[{position}]", "an address of its own", got))
            by_address.setdefault(handler.source, handler)
        issues += (issue for handler in listed for issue in _misfits(handler, by_address))
        if issues:
            raise Violated(ConfigViolation("these handlers do not make a system", tuple(issues)))
        self.__attrs_init__(listed, stacks, by_address)

    def check(self) -> tuple[Issue, ...]:
        """Name what is legal, and yet goes wrong once an event comes that way; () if all is well.

        A version of a workflow that nobody carries on, a service that nobody here is; in a machine,
        an answer that no state hears, and the like (`Machine.problems`); in a flow, which is run on
        sample answers, a request that no service takes, a reply that no service gives or that is
        not named, a signal that no contract has.
        """
        return tuple(findings(self._by_address))

    def handler_at(self, address: str | None) -> Handler | None:
        """Find the handler that answers at an address."""
        return None if address is None else self._by_address.get(address)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where its handlers answer."""
        return tuple(self._by_address)


def _misfits(handler: Handler, by_address: Mapping[str, Handler]) -> Iterator[Issue]:
    match handler:
        case EventHandler():
            return
        case Resumable() | Orchestrator() | FlowHandler():
            asked = (handler.services_of(version) for version in handler.versions)
            for service in {each.dataschema: each for some in asked for each in some}.values():
                other = by_address.get(service.type)
                if other is not None:
                    yield from _misfit(handler, service, other.contract)


def _misfit(
    handler: Handler, service: VersionedContract[Any], real: Contract[Any]
) -> Iterator[Issue]:
    path = f"{handler.contract.uri} asks {service.type}"
    if service.uri != real.uri:
        yield Issue(path, f"its handler's contract {real.uri}", service.uri)
    elif service.version not in real.versions:
        known = ", ".join(real.sorted_versions)
        yield Issue(path, f"a version that its handler has ({known})", service.version)
    elif service != real.versions[service.version]:
        expected = f"{service.dataschema} as its handler has it"
        yield Issue(path, expected, "a contract of that name and version that differs")
