"""FusedVersion: one version of a handler, and the version of another that takes its events."""

from collections.abc import Mapping
from itertools import count
from typing import Any, Final, final

from attrs import evolve, frozen

from arvo.core.command import Command, Emit
from arvo.core.contracts.version_spec import Version
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.event_type import resolve_event_type
from arvo.core.events.domain import Domain, DomainRule
from arvo.core.events.event import Event
from arvo.core.events.identity import derived_id, event_id
from arvo.core.events.uri import encode_uri
from arvo.core.payloads.json_data import freeze_unchecked
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ContractViolation, ExecutionViolation, Violated
from arvo.handlers.compose.run_part import expand, is_terminal, make_composed, run_part
from arvo.handlers.effect import Effects
from arvo.handlers.event_handler import CONTEXT, EventHandler

# The domains by which an answer returns to the caller, as far as a handler can know.
CALLER_DOMAINS: Final[tuple[tuple[DomainRule, ...], ...]] = (CONTEXT, (None,))


def fuse_version(
    first: EventHandler[Any], second: EventHandler[Any], number: str
) -> "FusedVersion":
    """Fuse version *number* of *first* with the version of *second* that accepts its events."""
    contract = first.contract[number]
    next_contract = accepting_version(contract, second)
    assert next_contract is not None
    return FusedVersion(first, contract, second, next_contract)


@final
@frozen
class FusedVersion:
    """Version *contract* of *first*, followed by version *next_contract* of *second*."""

    first: EventHandler[Any]
    contract: VersionedContract[Any]
    second: EventHandler[Any]
    next_contract: VersionedContract[Any]

    @property
    def function(self) -> Any:
        return self.first.functions[self.contract.version]

    @property
    def next_function(self) -> Any:
        return self.second.functions[self.next_contract.version]

    def version(self) -> Version[Any]:
        """Return the version of the fused contract."""
        emits: Mapping[str, Any] = {
            **passthrough_events(self.contract, self.next_contract),
            **self.next_contract.emitted,
        }
        accepts: Any = self.contract.accepted
        return Version(accepts=accepts, emits=emits)

    def program(self, event: Event[Any], stack: bool) -> Effects[tuple[Command, ...]]:
        contract = self.contract
        request = evolve(
            event, type=contract.type, dataschema=contract.dataschema, to=self.first.source
        )
        commands = yield from run_part(self.function, request, stack)
        if is_terminal(commands):
            return commands
        # All are resolved before the second handler runs, so that an invalid event of the first is
        # refused before any effect of the second, as with two handlers.
        positions = count()
        items = [
            self._hand_over(request, command, next(positions))
            if isinstance(command, Emit)
            else command
            for command in commands
        ]
        second = make_composed("second", (self.next_function,), self._run_second)
        return (yield from expand(items, Event, second, stack))

    def _hand_over(self, event: Event[Any], emit: Emit, position: int) -> Emit | Event[Any]:
        """Return the request to the second handler, or the `Emit` where the event is sent."""
        name = _event_type(emit, self.contract)
        payload = self.contract.emitted[name]
        if payload != self.next_contract.accepted:
            return _resolve_emit(self.first, self.contract, emit, name, event)
        label = f"{name} of {self.contract.dataschema}"
        _check_address(event, emit, label)
        raw = self.contract.answers[name].write(emit.payload)[1]
        data = self.next_contract.accepted.read(raw)
        if isinstance(data, Issues):
            message = f"{label} does not fit {self.next_contract.uri}"
            raise Violated(ContractViolation(message, data))
        if not payload.types:
            data = freeze_unchecked(data)
        redirectto = emit.redirectto or event.redirectto
        unique = derived_id(self.first.source, event.source, event.id, event.subject, position, 0)
        return evolve(
            event,
            id=event_id(emit.id, unique),
            parentid=event.id,
            type=self.next_contract.type,
            dataschema=self.next_contract.dataschema,
            to=self.second.source,
            data=data,
            wire=raw,
            wire_of=data,
            redirectto=None if redirectto is None else encode_uri(redirectto),
            accesscontrol=_or_default(emit.accesscontrol, event.accesscontrol),
            executionunits=_or_default(emit.executionunits, self.first.executionunits),
            extensions=emit.extensions,
        )

    def _run_second(self, event: Event[Any], stack: bool) -> Effects[tuple[Command, ...]]:
        commands = yield from run_part(self.next_function, event, stack)
        contract = self.next_contract
        return tuple(
            _resolve_emit(self.second, contract, command, _event_type(command, contract), event)
            if isinstance(command, Emit)
            else command
            for command in commands
        )


def _event_type(emit: Emit, contract: VersionedContract[Any]) -> str:
    candidates = contract.types_of(emit.payload)
    name = resolve_event_type(emit, candidates, contract.emitted, contract.dataschema)
    if isinstance(name, str):
        return name
    raise Violated(name)


def _check_address(event: Event[Any], emit: Emit, label: str) -> None:
    """Raise `Violated` where an event that is handed on has another address than the caller's."""
    issues: list[Issue] = []
    if emit.to not in (None, event.redirectto or event.source):
        issues.append(Issue("emit.to", "nothing (or the caller)", short_repr(emit.to)))
    if emit.domain not in ((), *CALLER_DOMAINS):
        issues.append(Issue("emit.domain", "nothing (or None)", short_repr(emit.domain)))
    if issues:
        message = f"{label} is handed on, and cannot go elsewhere"
        raise Violated(ExecutionViolation(message, tuple(issues)))


def _resolve_emit(
    handler: EventHandler[Any],
    contract: VersionedContract[Any],
    emit: Emit,
    name: str,
    event: Event[Any],
) -> Emit:
    """Return an `Emit` of the fused handler that sends the event that *handler* would send."""
    # Validated here, as in a step of that handler alone: before any later part runs.
    contract.answers[name].write(emit.payload)
    return evolve(
        emit,
        type=name,
        to=emit.to or event.redirectto or event.source,
        domain=tuple(
            contract.domain if rule in _CONTRACT_RULES else rule
            for rule in emit.domain or handler.domains.emits
        ),
        accesscontrol=_or_default(emit.accesscontrol, event.accesscontrol),
        executionunits=_or_default(emit.executionunits, handler.executionunits),
    )


_CONTRACT_RULES: Final = (Domain.FROM_SELF_CONTRACT, Domain.FROM_EVENT_CONTRACT)


def _or_default(value: Any, default: Any) -> Any:
    return default if value is None else value


def accepting_version(
    contract: VersionedContract[Any], second: EventHandler[Any]
) -> VersionedContract[Any] | None:
    """Return the highest version of *second* that accepts a payload that *contract* emits."""
    for number in reversed(second.contract.sorted_versions):
        if second.contract[number].accepted in contract.emitted.values():
            return second.contract[number]
    return None


def passthrough_events(
    contract: VersionedContract[Any], next_contract: VersionedContract[Any]
) -> Mapping[str, Payload[Any]]:
    """Return the events of *contract* that are sent and not handed on."""
    return {
        name: payload
        for name, payload in contract.emitted.items()
        if payload != next_contract.accepted
    }
