"""Meeting: one version of a handler, and the version of another that takes what it emits."""

from collections.abc import Mapping
from itertools import count
from typing import Any, Final, final

from attrs import evolve, frozen

from arvo.core.command import Command, Emit
from arvo.core.contracts.version_spec import Version
from arvo.core.contracts.versioned import VersionedContract, written
from arvo.core.events.domain import Domain, DomainRule
from arvo.core.events.envelope import Wire
from arvo.core.events.event import Event
from arvo.core.events.identity import derived_id, event_id
from arvo.core.events.uri import encode_uri
from arvo.core.payloads.frozen_json import EMPTY
from arvo.core.payloads.json import frozen_json
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, Issues, short
from arvo.core.violations.violation import ContractViolation, ExecutionViolation, Violated
from arvo.handlers.compose.run_part import composed, halts, play, replace
from arvo.handlers.effect import Effects
from arvo.handlers.event_handler import CONTEXT, EventHandler
from arvo.handlers.event_type import named

# Where an answer stays with whoever asked, for all that a handler can tell.
TO_THE_ASKER: Final[tuple[tuple[DomainRule, ...], ...]] = (CONTEXT, (None,))


def meeting(first: EventHandler[Any], second: EventHandler[Any], number: str) -> "Meeting":
    """Let version *number* of *first* meet *second*; that they do is known."""
    accepting = acceptor(first.contract[number], second)
    assert accepting is not None
    return Meeting(first, first.contract[number], second, accepting)


@final
@frozen
class Meeting:
    """Version *contract* of *first*; version *accepting* of *second* takes its answers."""

    first: EventHandler[Any]
    contract: VersionedContract[Any]
    second: EventHandler[Any]
    accepting: VersionedContract[Any]

    @property
    def function(self) -> Any:
        return self.first.functions[self.contract.version]

    @property
    def following(self) -> Any:
        return self.second.functions[self.accepting.version]

    def version(self) -> Version[Any]:
        """Give the fused contract's version."""
        emits: Mapping[str, Any] = {
            **kept(self.contract, self.accepting),
            **self.accepting.emitted,
        }
        accepts: Any = self.contract.accepted
        return Version(accepts=accepts, emits=emits)

    def program(self, event: Event[Any], stack: bool) -> Effects[tuple[Command, ...]]:
        contract = self.contract
        asked = evolve(
            event, type=contract.type, dataschema=contract.dataschema, to=self.first.source
        )
        commands = yield from play(self.function, asked, stack)
        if halts(commands):
            return commands
        # All of them before the second runs: what would break a promise is refused as it would be.
        positions = count()
        items = [
            self._taken(asked, each, next(positions)) if isinstance(each, Emit) else each
            for each in commands
        ]
        answering = composed("second", (self.following,), self._answer)
        return (yield from replace(items, Event, answering, stack))

    def _taken(self, event: Event[Any], emit: Emit, position: int) -> Emit | Event[Any]:
        """Take what the first emits: as what the second is asked, or as what is sent."""
        name = _name(emit, self.contract)
        payload = self.contract.emitted[name]
        if payload != self.accepting.accepted:
            return _sent(self.first, self.contract, emit, name, event)
        what = f"{name} of {self.contract.dataschema}"
        _check_handed(event, emit, what)
        _, raw = written(payload, emit.payload, EMPTY, what)
        data = self.accepting.accepted.read(raw)
        if isinstance(data, Issues):
            raise Violated(ContractViolation(f"{what} does not fit {self.accepting.uri}", data))
        if payload.type is None:
            data = frozen_json(data)
        redirectto = emit.redirectto or event.redirectto
        unique = derived_id(self.first.source, event.source, event.id, event.subject, position, 0)
        return evolve(
            event,
            id=event_id(emit.id, unique),
            parentid=event.id,
            type=self.accepting.type,
            dataschema=self.accepting.dataschema,
            to=self.second.source,
            data=data,
            wire=Wire(data, raw),
            redirectto=None if redirectto is None else encode_uri(redirectto),
            accesscontrol=_either(emit.accesscontrol, event.accesscontrol),
            executionunits=_either(emit.executionunits, self.first.executionunits),
            extensions=emit.extensions,
        )

    def _answer(self, event: Event[Any], stack: bool) -> Effects[tuple[Command, ...]]:
        commands = yield from play(self.following, event, stack)
        return tuple(
            _sent(self.second, self.accepting, each, _name(each, self.accepting), event)
            if isinstance(each, Emit)
            else each
            for each in commands
        )


def _name(emit: Emit, contract: VersionedContract[Any]) -> str:
    name = named(emit, contract.types_of(emit.payload), contract.emitted, contract.dataschema)
    if isinstance(name, str):
        return name
    raise Violated(name)


def _check_handed(event: Event[Any], emit: Emit, what: str) -> None:
    """Refuse an `Emit` of what is handed on that is meant for somebody else than the asker."""
    issues: list[Issue] = []
    if emit.to not in (None, event.redirectto or event.source):
        issues.append(Issue("emit.to", "nothing (or whoever asked)", short(emit.to)))
    if emit.domain not in ((), *TO_THE_ASKER):
        issues.append(Issue("emit.domain", "nothing (or None)", short(emit.domain)))
    if issues:
        message = f"{what} is handed on, and cannot go elsewhere"
        raise Violated(ExecutionViolation(message, tuple(issues)))


def _sent(
    handler: EventHandler[Any],
    contract: VersionedContract[Any],
    emit: Emit,
    name: str,
    event: Event[Any],
) -> Emit:
    """Say by an `Emit` of the fused handler what *handler* would have sent."""
    # Refused here as it would be there: before anything further is run.
    written(contract.emitted[name], emit.payload, EMPTY, f"{name} of {contract.dataschema}")
    return evolve(
        emit,
        type=name,
        to=emit.to or event.redirectto or event.source,
        domain=tuple(
            contract.domain if rule in _OF_THE_CONTRACT else rule
            for rule in emit.domain or handler.domains.emits
        ),
        accesscontrol=_either(emit.accesscontrol, event.accesscontrol),
        executionunits=_either(emit.executionunits, handler.executionunits),
    )


_OF_THE_CONTRACT: Final = (Domain.FROM_SELF_CONTRACT, Domain.FROM_EVENT_CONTRACT)


def _either(said: Any, else_: Any) -> Any:
    return else_ if said is None else said


def acceptor(
    contract: VersionedContract[Any], second: EventHandler[Any]
) -> VersionedContract[Any] | None:
    """Find the highest version of *second* that accepts something that *contract* emits."""
    for number in reversed(second.contract.sorted_versions):
        if second.contract[number].accepted in contract.emitted.values():
            return second.contract[number]
    return None


def kept(
    contract: VersionedContract[Any], accepting: VersionedContract[Any]
) -> Mapping[str, Payload[Any]]:
    """Give the events that are sent on as they are."""
    return {
        name: payload for name, payload in contract.emitted.items() if payload != accepting.accepted
    }
