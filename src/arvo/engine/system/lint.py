"""Lint: find wiring that is legal but loses or refuses an event once it arrives."""

from collections.abc import Container, Iterator, Mapping
from typing import Any

from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.domain import Domain
from arvo.core.violations.issue import Issue
from arvo.engine.system.handler import Handler, WorkflowHandler
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.flow.dry_run import dry_run
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.machine.action_sites import action_sites
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.references import may_choose_domain
from arvo.handlers.resumable import Resumable


def lint(by_address: Mapping[str, Handler], remote: Container[str]) -> Iterator[Issue]:
    """Yield an issue for each fault that construction allows and a later event would meet.

    *remote*: the addresses of the handlers in other processes.
    """
    for handler in by_address.values():
        match handler:
            case EventHandler():
                continue
            case Resumable():
                pass
            case Orchestrator(machines=machines):
                for version, machine in machines.items():
                    for problem in machine.problems():
                        path = f"{handler.source} {version} {problem.path}"
                        yield Issue(path, problem.expected, problem.got)
            case FlowHandler(contract=contract, flow_versions=flow_versions):
                for version, flow_version in flow_versions.items():
                    yield from dry_run(contract, version, flow_version)
        yield from _missing_versions(handler)
        yield from _missing_services(handler, by_address, remote)


def _missing_versions(handler: WorkflowHandler) -> Iterator[Issue]:
    for version in handler.contract.sorted_versions:
        if version not in handler.versions:
            expected = "an implementation of each version of its contract"
            yield Issue(f"{handler.source} {version}", expected, "none")


def _missing_services(
    handler: WorkflowHandler, by_address: Mapping[str, Handler], remote: Container[str]
) -> Iterator[Issue]:
    services = {
        service.type: service
        for version in handler.versions
        for service in handler.services_of(version)
    }
    missing = {
        name: service
        for name, service in services.items()
        if name not in by_address and name not in remote
    }
    if not missing or may_choose_domain(_code_of(handler)):
        return
    for address, service in missing.items():
        if not _leaves_system(handler, service):
            expected = "a handler here or in remote=, or a domain for its requests to services"
            if service.domain is not None:
                expected += f" (domain=Domain.FROM_EVENT_CONTRACT is {service.domain} here)"
            yield Issue(f"{handler.source} calls {address}", expected, "neither")


def _leaves_system(handler: WorkflowHandler, service: VersionedContract[Any]) -> bool:
    """Return True if the handler's rules may resolve to a domain for requests to a service."""
    return any(
        rule is not None and (rule != Domain.FROM_EVENT_CONTRACT or service.domain is not None)
        for rule in handler.domains.services
    )


def _code_of(handler: WorkflowHandler) -> object:
    """Return the code that makes the requests of a workflow."""
    match handler:
        case Resumable(functions=functions):
            return functions
        case FlowHandler(flow_versions=flow_versions):
            return tuple(version.function for version in flow_versions.values())
        case Orchestrator(machines=machines):
            charts = [machine.chart for machine in machines.values()]
            return tuple(site.ops for chart in charts for site in action_sites(chart))
