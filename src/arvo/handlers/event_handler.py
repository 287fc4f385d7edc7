"""EventHandler: a stateless handler that answers each event of one contract."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, TypeAlias, TypeVar, final, overload

from attrs import field, frozen

from arvo.core.contracts.contract import Contract
from arvo.core.events.domain import Domain, DomainRule
from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.invoke import HandlerReturn

A = TypeVar("A")

HandlerFunction: TypeAlias = Callable[[Event[A]], HandlerReturn]

# Answer in the domain of the caller.
CONTEXT: Final[tuple[DomainRule, ...]] = (Domain.ORCHESTRATION_CONTEXT,)


def to_domain_rules(rules: DomainRule | Iterable[DomainRule]) -> tuple[DomainRule, ...]:
    """Return one domain rule, or several, as a tuple."""
    return (rules,) if rules is None or isinstance(rules, str) else tuple(rules)


@final
@frozen(kw_only=True)
class HandlerDomains:
    """The domains of a handler's events where a command names none."""

    emits: tuple[DomainRule, ...] = field(default=CONTEXT, converter=to_domain_rules)
    system_error: tuple[DomainRule, ...] = field(default=CONTEXT, converter=to_domain_rules)


@final
@frozen(init=False)
class EventHandler(Generic[A]):
    """Functions that answer the events of a contract, one for each of its versions.

    *functions* map each version to a function from `Event[payload]` to commands: None, one command,
    a sequence, a `Result` of these, or a generator that asks for effects. *executionunits*: the
    cost of its events where a command names none. Raises `Violated` for a version without a
    function and for a function without a version.
    """

    contract: Contract[Any]
    functions: Mapping[str, HandlerFunction[Any]]
    executionunits: float
    domains: HandlerDomains

    # A contract whose versions accept different classes is a Contract[object]: no single payload
    # class fits its functions, so the type checker does not check their argument.
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
        """Its address, and the source of its events: the event type that it accepts."""
        return self.contract.type


def check_versions(contract: Contract[Any], functions: Mapping[str, object]) -> None:
    """Raise `Violated` unless *functions* has exactly the versions of *contract*."""
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
        Issue(f"handler.{version}", "a function", short_repr(function))
        for version, function in functions.items()
        if not callable(function)
    ]
    if issues:
        message = f"contract {contract.uri} requires a handler for each of its versions"
        raise Violated(ConfigViolation(message, tuple(issues)))
