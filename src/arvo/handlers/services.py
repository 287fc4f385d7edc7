"""Services: the contracts that a workflow asks, and which of them an event belongs to."""

from collections.abc import Sequence
from typing import Any

from arvo.core.command import Emit
from arvo.core.contracts.contract import Contract
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ConfigViolation, Violated


def check_services(
    contract: Contract[Any] | VersionedContract[Any], services: Sequence[VersionedContract[Any]]
) -> None:
    """Refuse a service listed twice, in two versions, or that is the workflow itself (F132)."""
    issues: list[Issue] = []
    seen: dict[str, str] = {}
    for position, service in enumerate(services):
        path = f"services[{position}]"
        given: object = service
        if not isinstance(given, VersionedContract):
            # The likeliest slip is the contract itself.
            issues.append(
                Issue(path, 'one version of a contract, such as charge["1.0.0"]', short(given))
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
    """Refuse a signal that is no contract's version, or whose event means something else here."""
    taken = {contract.type: "what begins the workflow"}
    for service in services:
        taken |= dict.fromkeys((*service.emitted, service.system_error_type), service.dataschema)
    issues: list[Issue] = []
    for position, signal in enumerate(signals):
        path = f"signals[{position}]"
        given: object = signal
        if not isinstance(given, VersionedContract):
            expected = 'one version of a contract, such as approve["1.0.0"]'
            issues.append(Issue(path, expected, short(given)))
        elif signal.type in taken:
            got = f"{signal.type}, which is taken by {taken[signal.type]}"
            issues.append(Issue(path, "an event type of its own", got))
        else:
            taken[signal.type] = f"signals[{position}]"
    if issues:
        raise Violated(ConfigViolation(f"the signals of {contract.uri} do not fit", tuple(issues)))


def asked(
    services: Sequence[VersionedContract[Any]], event_type: str
) -> VersionedContract[Any] | None:
    """Find the service (or signal) that takes events of this type."""
    return next((each for each in services if each.type == event_type), None)


def is_meant(service: VersionedContract[Any], emit: Emit) -> bool:
    """Tell whether a request is for this service: by its type, or where it names none by what its
    payload is.
    """
    if emit.type is not None:
        return emit.type == service.type
    return service.accepted.type is type(emit.payload)


def answering(
    services: Sequence[VersionedContract[Any]], event_type: str
) -> tuple[VersionedContract[Any], ...]:
    """Find the services that answer with this type: a reply of theirs, or their system error."""
    return tuple(
        each
        for each in services
        if event_type in each.emitted or event_type == each.system_error_type
    )
