"""System: the handlers of one application, as a value."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias, final

from attrs import field, frozen

from arvo.core.contracts.check import is_orchestrator_type
from arvo.core.contracts.contract import Contract
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.contracts.versioned_workflow import VersionedWorkflow
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.record import Record
from arvo.core.violations.arguments import check_list
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.system.handler import Handler, WorkflowHandler, is_workflow
from arvo.engine.system.lint import lint
from arvo.engine.system.subscriptions import (
    Subscribed,
    read_subscriptions,
    subscription_issues,
)
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.resumable import Resumable
from arvo.handlers.services import ServiceSpec, declared_version

_HANDLER: Final = "an EventHandler, a Resumable, an Orchestrator or a function decorated with @flow"


@final
@frozen(init=False)
class System:
    """The handlers of one application, each at its own address.

    A value: it can be compared, checked, run as a function (`run`) or for real (`Runtime`).
    *remote*: what runs in other processes on the same backend: versions of contracts, or decorated
    functions. Their events wait for those processes, also while none of them runs. *subscriptions*
    maps names, such as `com.shop.billing`, to contracts of workflows: each completion and each
    system error of theirs is kept for the listener of that name (see
    `Runtime.on_workflow_complete`). All processes that run these workflows list them. *stacks*:
    whether system errors carry the stack trace. The default is False because a system error may
    reach callers outside the application, and a stack trace exposes its internals.

    Raises `Violated`, which lists every conflict, for an item that is not a handler, for two
    handlers at one address, for a remote one at the address of a handler, for a workflow that
    calls a service by a contract other than the service's own, for a subscription to what is no
    workflow of the system, and for a keyed contract of a workflow that is no `Resumable`.
    """

    handlers: tuple[Handler, ...]
    remote: tuple[VersionedContract[Any], ...]
    # The contracts of each subscription, by its name.
    subscriptions: FrozenDict
    stacks: bool
    _by_address: Mapping[str, Handler] = field(repr=False, eq=False)
    _elsewhere: frozenset[str] = field(repr=False, eq=False)
    # The largest data of an event where a blob store takes it; 0: it travels in the event.
    data_bytes_max: int = field(default=0, repr=False, eq=False)

    def __init__(
        self,
        handlers: Iterable[Handler],
        *,
        remote: Iterable[ServiceSpec] = (),
        subscriptions: Mapping[str, Iterable[Subscribed]] = EMPTY,
        stacks: bool = False,
    ) -> None:
        listed, elsewhere = _list_handlers(handlers), _list_remote(remote)
        by_address: dict[str, Handler] = {}
        issues: list[Issue] = []
        for position, handler in enumerate(listed):
            if handler.source in by_address:
                other = by_address[handler.source].contract.uri
                got = f"{handler.source} of {handler.contract.uri}, which {other} uses already"
                issues.append(Issue(f"handlers[{position}]", "a unique address", got))
            by_address.setdefault(handler.source, handler)
        for position, version in enumerate(elsewhere):
            if version.type in by_address:
                expected = "an address that no handler of this system has"
                issues.append(Issue(f"remote[{position}]", expected, version.type))
        contracts = {address: handler.contract for address, handler in by_address.items()}
        for address, contract in _remote_contracts(elsewhere).items():
            contracts.setdefault(address, contract)
        issues += (issue for handler in listed for issue in _mismatches(handler, contracts))
        issues += _keyed_issues(listed)
        workflows = {address for address in contracts if is_orchestrator_type(address)}
        issues += subscription_issues(subscriptions, contracts, workflows)
        if issues:
            raise Violated(ConfigViolation("these handlers cannot form a system", tuple(issues)))
        addresses = frozenset(version.type for version in elsewhere)
        reports = read_subscriptions(subscriptions)
        self.__attrs_init__(listed, elsewhere, reports, stacks, by_address, addresses)

    def with_data(self, bytes_max: int) -> "System":
        """Return this system, whose handlers may emit events with data of so many bytes."""
        values = self.handlers, self.remote, self.subscriptions, self.stacks
        system = object.__new__(System)
        system.__attrs_init__(*values, self._by_address, self._elsewhere, bytes_max)
        return system

    def check(self) -> tuple[Issue, ...]:
        """Return an issue for each legal piece of wiring that would lose or refuse an event.

        The result is empty when there is none. It names: a version of a contract that its workflow
        does not implement; a service that has no handler here and no domain to leave by, of the
        workflow's `domains` or named in its code; in a machine, a reply that no state handles and
        the other findings of `Machine.problems`; in a flow, which is run on sample replies, a
        request that no service accepts, a reply type that the service does not emit or that the
        flow does not list, a signal that no contract declares, and a value that it yields or
        returns and that is no operation or outcome.
        """
        return tuple(lint(self._by_address, self._elsewhere))

    def handler_at(self, address: str | None) -> Handler | None:
        """Return the handler that answers at *address*, or None."""
        return None if address is None else self._by_address.get(address)

    def is_remote(self, address: str | None) -> bool:
        """Return whether other processes have the handler at *address*, by *remote*."""
        return address in self._elsewhere

    def is_elsewhere(self, address: str | None) -> bool:
        """Return whether the events to *address* wait: for other processes, or for a listener."""
        return self.is_remote(address) or address in self.subscriptions

    def subscribers(self, address: str) -> tuple[str, ...]:
        """Return the names of the subscriptions to the workflow at *address*."""
        return tuple(
            name
            for name, listed in self.subscriptions.items()
            if any(contract.type == address for contract in listed)
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of its handlers, in the order of *handlers*."""
        return tuple(self._by_address)


def require_system(value: object, caller: str) -> None:
    """Raise `Violated` if *value* is not a `System`, in the name of the function *caller*."""
    if not isinstance(value, System):
        expected = f"a System: write `{caller}(System([handler, ...]), ...)`"
        issue = Issue("system", expected, f"an object of type {type(value).__name__}")
        raise Violated(ConfigViolation(f"{caller} runs a system, not handlers", issue))


# The argument of `query` and `migrate`: a workflow handles its own records, a system those of all
# its workflows.
Owner: TypeAlias = System | WorkflowHandler


def find_workflow(owner: Owner, record: Record) -> WorkflowHandler | ConfigViolation:
    """Return the workflow handler that *record* belongs to; a violation if it is not in *owner*."""
    if isinstance(owner, System):
        handler = owner.handler_at(record.handler)
        known = [workflow.source for workflow in filter(is_workflow, owner.handlers)]
    else:
        handler = owner if owner.source == record.handler else None
        known = [owner.source]
    if not is_workflow(handler):
        expected = (
            f"one of {', '.join(known)}" if known else "nothing, because there is no workflow"
        )
        issue = Issue("record.handler", expected, short_repr(record.handler))
        return ConfigViolation("the record belongs to another workflow", issue)
    return handler


def _list_handlers(handlers: Iterable[Handler]) -> tuple[Handler, ...]:
    given: object = handlers
    if not isinstance(given, Iterable):
        issue = Issue("handlers", "a list of handlers: System([handler])", short_repr(given))
        raise Violated(ConfigViolation("a system is made of a list of handlers", issue))
    listed = tuple(handlers)
    items: tuple[object, ...] = listed
    issues = tuple(
        Issue(f"handlers[{position}]", _HANDLER, f"{type(item).__name__}: {short_repr(item)}")
        for position, item in enumerate(items)
        if not (isinstance(item, EventHandler) or is_workflow(item))
    )
    if issues:
        raise Violated(ConfigViolation("a system is made of handlers", issues))
    return listed


def _list_remote(remote: Iterable[ServiceSpec]) -> tuple[VersionedContract[Any], ...]:
    check_list("remote", remote, 'versions of contracts: [charge["1.0.0"]]', of="a System")
    listed: tuple[object, ...] = tuple(map(declared_version, remote))
    issues = tuple(
        Issue(f"remote[{position}]", 'one version of a contract: charge["1.0.0"]', short_repr(item))
        for position, item in enumerate(listed)
        if not isinstance(item, VersionedContract)
    )
    if issues:
        raise Violated(ConfigViolation("what runs elsewhere is named by its contract", issues))
    return tuple(item for item in listed if isinstance(item, VersionedContract))


def _remote_contracts(
    remote: Iterable[VersionedContract[Any]],
) -> dict[str, Contract[Any]]:
    """Return one contract for each address, with the versions that are listed."""
    versions: dict[str, list[VersionedContract[Any]]] = {}
    for version in remote:
        versions.setdefault(version.type, []).append(version)
    return {address: Contract.of(listed) for address, listed in versions.items()}


def _keyed_issues(handlers: Iterable[Handler]) -> Iterator[Issue]:
    """Yield the keyed contracts of workflows that would not read the further events of a key."""
    for position, handler in enumerate(handlers):
        versions = handler.contract.versions.values()
        is_keyed = any(isinstance(it, VersionedWorkflow) and it.key for it in versions)
        if is_keyed and not isinstance(handler, Resumable):
            expected = f"a Resumable, as {handler.contract.uri} has a key"
            yield Issue(f"handlers[{position}]", expected, type(handler).__name__)


def _mismatches(handler: Handler, contracts: Mapping[str, Contract[Any]]) -> Iterator[Issue]:
    if not is_workflow(handler):
        return
    services = {
        service.dataschema: service
        for version in handler.versions
        for service in handler.services_of(version)
    }
    for service in services.values():
        actual = contracts.get(service.type)
        if actual is not None:
            yield from _mismatch(handler, service, actual)


def _mismatch(
    handler: Handler, service: VersionedContract[Any], actual: Contract[Any]
) -> Iterator[Issue]:
    path = f"{handler.contract.uri} calls {service.type}"
    if service.uri != actual.uri:
        yield Issue(path, f"the contract of its handler, {actual.uri}", service.uri)
    elif service.version not in actual.versions:
        known = ", ".join(actual.sorted_versions)
        yield Issue(path, f"a version that its handler has ({known})", service.version)
    elif service != actual.versions[service.version]:
        expected = f"{service.dataschema} as its handler declares it"
        yield Issue(path, expected, "a different contract of that name and version")
