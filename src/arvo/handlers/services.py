"""Services: checks the contracts that a workflow uses, and finds the one of an event."""

from collections.abc import Sequence
from typing import Any

from arvo.core.command import Emit
from arvo.core.contracts.contract import Contract
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated


def check_services(
    contract: Contract[Any] | VersionedContract[Any], services: Sequence[VersionedContract[Any]]
) -> None:
    """Raise `Violated` for a service listed twice, in two versions, or the workflow itself."""
    issues: list[Issue] = []
    seen: dict[str, str] = {}
    for position, service in enumerate(services):
        path = f"services[{position}]"
        candidate: object = service
        if not isinstance(candidate, VersionedContract):
            # The most likely mistake is to pass the contract itself.
            issues.append(
                Issue(
                    path,
                    'one version of a contract, such as charge["1.0.0"]',
                    short_repr(candidate),
                )
            )
            continue
        if service.uri == contract.uri:
            issues.append(Issue(path, "another contract than the workflow's own", service.uri))
        elif service.uri in seen:
            got = f"{service.uri} in {seen[service.uri]} and {service.version}"
            issues.append(Issue(path, "one version of each contract", got))
        seen.setdefault(service.uri, service.version)
    if issues:
        raise Violated(ConfigViolation(f"the services of {contract.uri} do not fit", tuple(issues)))


def check_signals(
    contract: Contract[Any] | VersionedContract[Any],
    services: Sequence[VersionedContract[Any]],
    signals: Sequence[VersionedContract[Any]],
) -> None:
    """Raise `Violated` for a signal that is no `VersionedContract` or whose event type is taken."""
    taken = {contract.type: "the event that begins the workflow"}
    for service in services:
        taken |= dict.fromkeys((*service.emitted, service.system_error_type), service.dataschema)
    issues: list[Issue] = []
    for position, signal in enumerate(signals):
        path = f"signals[{position}]"
        candidate: object = signal
        if not isinstance(candidate, VersionedContract):
            expected = 'one version of a contract, such as approve["1.0.0"]'
            issues.append(Issue(path, expected, short_repr(candidate)))
        elif signal.type in taken:
            got = f"{signal.type}, which is taken by {taken[signal.type]}"
            issues.append(Issue(path, "an event type of its own", got))
        else:
            taken[signal.type] = f"signals[{position}]"
    if issues:
        raise Violated(ConfigViolation(f"the signals of {contract.uri} do not fit", tuple(issues)))


def find_accepting(
    services: Sequence[VersionedContract[Any]], event_type: str
) -> VersionedContract[Any] | None:
    """Return the service (or signal) that accepts events of this type."""
    return next((service for service in services if service.type == event_type), None)


def accepts_emit(service: VersionedContract[Any], emit: Emit) -> bool:
    """Return True if a request is for this service.

    The type of the `Emit` decides, or the class of its payload where it names no type.
    """
    if emit.type is not None:
        return emit.type == service.type
    return service.accepted.type is type(emit.payload)


def find_emitting(
    services: Sequence[VersionedContract[Any]], event_type: str
) -> tuple[VersionedContract[Any], ...]:
    """Return the services that answer with this type, as a reply or as their system error."""
    return tuple(
        service
        for service in services
        if event_type in service.emitted or event_type == service.system_error_type
    )
