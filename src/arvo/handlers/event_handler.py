"""EventHandler: answers each event of one contract by itself, remembering nothing."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, TypeAlias, TypeVar, final, overload

from attrs import field, frozen

from arvo.core.contracts.contract import Contract
from arvo.core.events.domain import Domain, DomainRule
from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.invoke import Reply

A = TypeVar("A")

HandlerFunction: TypeAlias = Callable[[Event[A]], Reply]

# Answer in the domain of whoever asked (F095).
CONTEXT: Final[tuple[DomainRule, ...]] = (Domain.ORCHESTRATION_CONTEXT,)


def as_rules(given: DomainRule | Iterable[DomainRule]) -> tuple[DomainRule, ...]:
    """Take one domain rule or several as several."""
    return (given,) if given is None or isinstance(given, str) else tuple(given)


@final
@frozen(kw_only=True)
class HandlerDomains:
    """Where a handler's events go when a command names no domain (reference F095)."""

    emits: tuple[DomainRule, ...] = field(default=CONTEXT, converter=as_rules)
    system_error: tuple[DomainRule, ...] = field(default=CONTEXT, converter=as_rules)


@final
@frozen(init=False)
class EventHandler(Generic[A]):
    """Functions that answer the events of a contract, one for each of its versions (reference
    F086).

    *functions* map each version to a function from `Event[payload]` to commands: nothing, one, a
    sequence, a `Result` of these, or a generator that asks for effects. *executionunits* is the
    cost that its events carry where a command says none. A missing or surplus version is refused
    with `Violated` (F087).
    """

    contract: Contract[Any]
    functions: Mapping[str, HandlerFunction[Any]]
    executionunits: float
    domains: HandlerDomains

    # A contract whose versions take different classes is a Contract[object]: its functions cannot
    # be checked against one payload, so they are taken as they come.
    @overload
    def __init__(
        self,
        contract: Contract[A],
        functions: Mapping[str, HandlerFunction[A]],
        *,
        executionunits: float = 0,
        domains: HandlerDomains = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: "EventHandler[object]",
        contract: Contract[object],
        functions: Mapping[str, HandlerFunction[Any]],
        *,
        executionunits: float = 0,
        domains: HandlerDomains = ...,
    ) -> None: ...
    def __init__(
        self,
        contract: Contract[Any],
        functions: Mapping[str, HandlerFunction[Any]],
        *,
        executionunits: float = 0,
        domains: HandlerDomains = HandlerDomains(),
    ) -> None:
        check_versions(contract, functions)
        self.__attrs_init__(contract, dict(functions), executionunits, domains)

    @property
    def source(self) -> str:
        """The address it answers at, and the source of its events: the type it takes."""
        return self.contract.type


def check_versions(contract: Contract[Any], functions: Mapping[str, object]) -> None:
    """Refuse a handler that lacks a version of its contract, or has one too many (F087)."""
    issues = [
        Issue(f"handler.{version}", "a function for this version", "nothing")
        for version in contract.sorted_versions
        if version not in functions
    ] + [
        Issue(f"handler.{version}", f"one of {', '.join(contract.sorted_versions)}", "a function")
        for version in functions
        if version not in contract.versions
    ]
    issues += [
        Issue(f"handler.{version}", "a function", short(function))
        for version, function in functions.items()
        if not callable(function)
    ]
    if issues:
        message = f"contract {contract.uri} requires a handler for each of its versions"
        raise Violated(ConfigViolation(message, tuple(issues)))
