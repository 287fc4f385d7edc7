"""Services: checks the contracts that a workflow uses, and finds the one of an event."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias, final

from arvo.core.command import Emit
from arvo.core.contracts.contract import Contract
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.payloads.payload import Payload
from arvo.core.violations.arguments import check_list
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated


@final
class Services(tuple[VersionedContract[Any], ...]):  # noqa: SLOT001 - a tuple has none
    """The services of a workflow, or its signals, with tables to find the one of an event.

    *by_type*: the contract that accepts events of a type. *by_class*: the types of the events that
    carry a payload class. *by_answer*: the contracts that answer with a type, as a reply or as
    their system error. *request_of*: the one that accepts a payload class, if no other does.
    *reply_of*: the contract and the payload of a reply of exactly that type and dataschema.
    """

    by_type: Mapping[str, VersionedContract[Any]]
    by_class: Mapping[type, tuple[str, ...]]
    by_answer: Mapping[str, tuple[VersionedContract[Any], ...]]
    request_of: Mapping[type, VersionedContract[Any]]
    reply_of: Mapping[tuple[str, str | None], tuple[VersionedContract[Any], Payload[Any]]]

    def __new__(cls, contracts: Iterable[VersionedContract[Any]] = ()) -> "Services":
        """Make the tables once, so that no step takes longer with more services."""
        services = super().__new__(cls, contracts)
        by_type: dict[str, VersionedContract[Any]] = {}
        by_class: dict[type, tuple[str, ...]] = {}
        by_answer: dict[str, tuple[VersionedContract[Any], ...]] = {}
        for service in services:
            by_type.setdefault(service.type, service)
            for kind in service.accepted.instance_types:
                by_class[kind] = (*by_class.get(kind, ()), service.type)
            for name in (*service.emitted, service.system_error_type):
                by_answer[name] = (*by_answer.get(name, ()), service)
        services.by_type, services.by_class, services.by_answer = by_type, by_class, by_answer
        services.request_of = {
            kind: by_type[types[0]] for kind, types in by_class.items() if len(types) == 1
        }
        services.reply_of = {
            (name, service.dataschema): (service, payload)
            for service in services
            for name, payload in service.emitted.items()
        }
        return services


NO_SERVICES: Final = Services()


class DeclaresVersion(Protocol):
    """A decorated function, which declares one version of a contract."""

    @property
    def declared(self) -> VersionedContract[Any]:
        """That version."""
        ...


# What a workflow lists as its services, and as its signals.
ServiceSpec: TypeAlias = VersionedContract[Any] | DeclaresVersion


def declared_version(spec: Any) -> Any:
    """Return the version that a decorated function declares; anything else as it is."""
    return spec.declared if hasattr(type(spec), "declared") else spec


def read_services(
    contract: Contract[Any] | VersionedContract[Any],
    services: Iterable[ServiceSpec],
    signals: Iterable[ServiceSpec],
) -> tuple[Services, Services]:
    """Return the services and the signals of a workflow.

    Raises `Violated` for a service listed twice, in two versions, or the workflow itself, and for a
    signal whose event type is taken.
    """
    for name, listed in (("services", services), ("signals", signals)):
        check_list(name, listed, 'versions of contracts: [charge["1.0.0"]]', of="a workflow")
    of_services = tuple(map(declared_version, services))
    of_signals = tuple(map(declared_version, signals))
    _check_services(contract, of_services)
    _check_signals(contract, of_services, of_signals)
    return Services(of_services), Services(of_signals)


def _check_services(
    contract: Contract[Any] | VersionedContract[Any], services: Sequence[VersionedContract[Any]]
) -> None:
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


def _check_signals(
    contract: Contract[Any] | VersionedContract[Any],
    services: Sequence[VersionedContract[Any]],
    signals: Sequence[VersionedContract[Any]],
) -> None:
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


def accepts_emit(service: VersionedContract[Any], emit: Emit) -> bool:
    """Return True if a request is for this service.

    The type of the `Emit` decides, or the class of its payload where it names no type.
    """
    if emit.type is not None:
        return emit.type == service.type
    return type(emit.payload) in service.accepted.instance_types
