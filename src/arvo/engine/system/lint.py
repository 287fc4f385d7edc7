"""Check: what is wired so that an event would be lost or refused, before one is."""

from collections.abc import Iterator, Mapping
from typing import Any

from arvo.core.violations.issue import Issue
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.flow.dry_run import rehearse
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.resumable import Resumable

AnyWorkflow = Resumable[Any] | Orchestrator[Any] | FlowHandler[Any, Any]
AnyHandler = EventHandler[Any] | AnyWorkflow


def findings(by_address: Mapping[str, AnyHandler]) -> Iterator[Issue]:
    """Name what is legal, and yet goes wrong once an event comes that way."""
    for handler in by_address.values():
        match handler:
            case EventHandler():
                continue
            case Resumable():
                pass
            case Orchestrator(machines=machines):
                for version, machine in machines.items():
                    for doubt in machine.problems():
                        path = f"{handler.source} {version} {doubt.path}"
                        yield Issue(path, doubt.expected, doubt.got)
            case FlowHandler(contract=contract, parts=parts):
                for version, part in parts.items():
                    yield from rehearse(contract, version, part)
        yield from _versions(handler)
        yield from _services(handler, by_address)


def _versions(handler: AnyWorkflow) -> Iterator[Issue]:
    for version in handler.contract.sorted_versions:
        if version not in handler.versions:
            expected = "somebody who carries on workflows of each version of its contract"
            yield Issue(f"{handler.source} {version}", expected, "nobody")


def _services(handler: AnyWorkflow, by_address: Mapping[str, AnyHandler]) -> Iterator[Issue]:
    asked = {
        service.type: service
        for version in handler.versions
        for service in handler.services_of(version)
    }
    leaves = any(domain is not None for domain in handler.domains.services)
    for name in asked:
        if name not in by_address and not leaves:
            expected = "a handler here, or requests that leave by a domain"
            yield Issue(f"{handler.source} asks {name}", expected, "nobody at that address")
