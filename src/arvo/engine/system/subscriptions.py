"""Subscriptions: which workflows report their ends to which addresses."""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol, TypeAlias

from arvo.core.contracts.check import is_orchestrator_type
from arvo.core.contracts.contract import Contract
from arvo.core.events.envelope import is_event_type
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.violations.issue import Issue, short_repr

_WORKFLOW: Final = "the contract of a workflow in handlers or remote, or its function"


class HasContract(Protocol):
    """A handler: it has the contract that it implements."""

    @property
    def contract(self) -> Contract[Any]:
        """That contract."""
        ...


# What a subscription lists: contracts of workflows, or their handlers.
Subscribed: TypeAlias = Contract[Any] | HasContract


def read_subscriptions(subscriptions: Mapping[str, Iterable[Subscribed]]) -> FrozenDict:
    """Return the contracts that each subscription lists."""
    return FrozenDict(
        {name: tuple(map(_contract, listed)) for name, listed in subscriptions.items()}
    )


def subscription_issues(
    subscriptions: object, handlers: Container[str], known: Container[str]
) -> Iterator[Issue]:
    """Yield an issue for each subscription that cannot be one.

    *handlers*: the addresses of all handlers, here and elsewhere. *known*: those of workflows.
    """
    if not isinstance(subscriptions, Mapping):
        expected = 'contracts of workflows by name: {"com.shop.billing": [order]}'
        yield Issue("subscriptions", expected, short_repr(subscriptions))
        return
    for name, listed in subscriptions.items():
        path = f"subscriptions[{name!r}]"
        is_name = isinstance(name, str) and is_event_type(name)
        if not is_name or is_orchestrator_type(name) or name in handlers:
            expected = "a name of its own, in lower-case segments, such as com.shop.billing"
            yield Issue(path, expected, short_repr(name))
        if isinstance(listed, str) or not isinstance(listed, Iterable):
            yield Issue(path, "a list of contracts of workflows", short_repr(listed))
            continue
        items = tuple(listed)
        for position, item in enumerate(items):
            contract = _contract(item)
            if contract is None or contract.type not in known:
                yield Issue(f"{path}[{position}]", _WORKFLOW, short_repr(item))
        types = [contract.type for contract in map(_contract, items) if contract is not None]
        if len(set(types)) < len(types):
            yield Issue(path, "each contract once", ", ".join(types))


def _contract(item: object) -> Contract[Any] | None:
    contract = item if isinstance(item, Contract) else getattr(item, "contract", None)
    return contract if isinstance(contract, Contract) else None
