"""Services: handlers for the services that a simulated system lacks."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from arvo.core.command import Emit, Fail
from arvo.core.contracts.contract import Contract
from arvo.core.contracts.version_spec import Version
from arvo.core.events.event import Event
from arvo.core.events.protocol import SystemFault
from arvo.core.payloads.payload import Payload
from arvo.engine.system.system import System
from arvo.handlers.event_handler import EventHandler
from arvo.testing.strategies.replies import Behaviour

ServiceModel: TypeAlias = EventHandler[Any] | Behaviour


def with_services(system: System, services: Iterable[ServiceModel]) -> System:
    """Return *system* together with *services*."""
    handlers = [
        *system.handlers,
        *(it if isinstance(it, EventHandler) else _make_handler(it) for it in services),
    ]
    # Workflows of other processes do not run here, so they never end.
    addresses = {handler.source for handler in handlers}
    subscriptions = {
        name: [contract for contract in listed if contract.type in addresses]
        for name, listed in system.subscriptions.items()
    }
    return System(handlers, subscriptions=subscriptions, stacks=system.stacks)


def _make_handler(behaviour: Behaviour) -> EventHandler[Any]:
    version = behaviour.contract

    def handle(event: Event[Any]) -> Emit | Fail:
        reply = behaviour(event)
        if isinstance(reply.data, SystemFault):
            return Fail(reply.data.message)
        return Emit(reply.data, type=reply.type)

    # A system compares the contracts of workflows with those of its services, so all fields of the
    # contract must be equal.
    contract: Contract[Any] = Contract(
        uri=version.uri,
        type=version.type,
        domain=version.domain,
        description=version.description,
        metadata=version.metadata,
        versions={
            version.version: Version(
                accepts=_declared(version.accepted),
                emits={name: _declared(payload) for name, payload in version.emitted.items()},
            )
        },
    )
    return EventHandler(contract, {version.version: handle})


def _declared(payload: Payload[Any]) -> Any:
    """Return the class or JSON Schema that the contract declares for a payload."""
    return payload.kind
