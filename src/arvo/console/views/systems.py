"""Systems: the handlers of a system, who sends to whom, and their contracts."""

from typing import Any, Final, final

from attrs import frozen

from arvo.console.views.data import DataView, show_data
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.payloads.example import make_example
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, Issues
from arvo.engine.system.exported import declared_contracts
from arvo.engine.system.handler import Handler, is_workflow
from arvo.engine.system.missing import versions_of
from arvo.engine.system.system import System

_KINDS: Final = {"EventHandler": "event handler", "FlowHandler": "flow"}


@final
@frozen(kw_only=True)
class HandlerRow:
    """A handler: what it answers, and where it sends."""

    address: str
    kind: str
    versions: tuple[str, ...]
    contract: str
    calls: tuple[str, ...]
    signals: tuple[str, ...]
    emits: tuple[str, ...]


@final
@frozen(kw_only=True)
class SystemView:
    """A system: its handlers, the contracts that it names, and what is doubtful in it."""

    handlers: tuple[HandlerRow, ...]
    contracts: tuple[tuple[str, str, str], ...]
    issues: tuple[Issue, ...]


def show_system(system: System) -> SystemView:
    """Return a system as its page shows it."""
    return SystemView(
        handlers=tuple(map(_handler, system.handlers)),
        contracts=tuple(
            (it.uri, it.version, it.type) for it in (*declared_contracts(system), *system.remote)
        ),
        issues=system.check(),
    )


def _handler(handler: Handler) -> HandlerRow:
    name = type(handler).__name__
    calls: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    if is_workflow(handler):
        versions = handler.versions
        calls = _types(it for version in versions for it in handler.services_of(version))
        signals = _types(it for version in versions for it in handler.signals_of(version))
    return HandlerRow(
        address=handler.source,
        kind=_KINDS.get(name, name.lower()),
        versions=versions_of(handler),
        contract=handler.contract.uri,
        calls=calls,
        signals=signals,
        emits=tuple(
            dict.fromkeys(
                name for version in handler.contract.versions.values() for name in version.emitted
            )
        ),
    )


def _types(contracts: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(contract.type for contract in contracts))


@final
@frozen(kw_only=True)
class PayloadView:
    """The payload of one event type: its schema, and a sample; None where none is found."""

    type: str
    role: str
    schema: DataView
    sample: DataView | None


@final
@frozen(kw_only=True)
class ContractView:
    """One version of a contract, with each of its events."""

    uri: str
    version: str
    type: str
    domain: str | None
    description: str | None
    payloads: tuple[PayloadView, ...]


def find_contract(system: System, uri: str, version: str) -> VersionedContract[Any] | None:
    """Return a contract that the system names, or None."""
    contracts = (*declared_contracts(system), *system.remote)
    return next((it for it in contracts if (it.uri, it.version) == (uri, version)), None)


def show_contract(contract: VersionedContract[Any]) -> ContractView:
    """Return one version of a contract as its page shows it."""
    emitted = (_payload(name, "emits", it) for name, it in contract.emitted.items())
    return ContractView(
        uri=contract.uri,
        version=contract.version,
        type=contract.type,
        domain=contract.domain,
        description=contract.description,
        payloads=(_payload(contract.type, "accepts", contract.accepted), *emitted),
    )


def _payload(name: str, role: str, payload: Payload[Any]) -> PayloadView:
    sample = sample_of(payload)
    return PayloadView(
        type=name,
        role=role,
        schema=show_data(payload.schema),
        sample=None if sample is None else show_data(sample),
    )


def sample_of(payload: Payload[Any]) -> Any:
    """Return a small valid value of a payload as JSON data, None where none is found."""
    # The payload of a workflow has a property of the protocol, which its class does not have.
    plain: Payload[Any] = payload if payload.type is None else Payload.of(payload.type)
    example = make_example(plain)
    written = None if example is None else plain.write(example)
    return None if isinstance(written, Issues) else written
