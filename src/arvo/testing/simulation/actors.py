"""Actors: handlers that play the services which a system lacks."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from arvo.core.command import Emit, Fail
from arvo.core.contracts.contract import Contract
from arvo.core.contracts.version_spec import Version
from arvo.core.events.event import Event
from arvo.core.events.fault import SystemFault
from arvo.core.payloads.payload import Payload
from arvo.engine.system.system import System
from arvo.handlers.event_handler import EventHandler
from arvo.testing.strategies.replies import Behaviour

Actor: TypeAlias = EventHandler[Any] | Behaviour


def with_actors(system: System, actors: Iterable[Actor]) -> System:
    """Give the system together with the services that are played."""
    played = (each if isinstance(each, EventHandler) else _playing(each) for each in actors)
    return System([*system.handlers, *played], stacks=system.stacks)


def _playing(behaviour: Behaviour) -> EventHandler[Any]:
    """Make a handler that answers as a behaviour says."""
    version = behaviour.contract

    def answer(event: Event[Any]) -> Emit | Fail:
        reply = behaviour(event)
        if isinstance(reply.data, SystemFault):
            return Fail(reply.data.message)
        return Emit(reply.data, type=reply.type)

    # A system compares what a workflow asks with what it has: all that is said must be the same.
    contract: Contract[Any] = Contract(
        uri=version.uri,
        type=version.type,
        domain=version.domain,
        description=version.description,
        metadata=version.metadata,
        versions={
            version.version: Version(
                accepts=_said(version.accepted),
                emits={name: _said(payload) for name, payload in version.emitted.items()},
            )
        },
    )
    return EventHandler(contract, {version.version: answer})


def _said(payload: Payload[Any]) -> Any:
    """Give what a contract was written with: a class, or a JSON Schema."""
    return payload.schema if payload.type is None else payload.type
