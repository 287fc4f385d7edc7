"""EventHandler: a stateless handler that answers each event of one contract."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, final, get_args, overload

from attrs import field, frozen

from arvo.core.contracts.contract import Contract
from arvo.core.events.domain import Domain, DomainRule
from arvo.core.events.event import Event
from arvo.core.violations.arguments import check_argument
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.annotations import function_issues
from arvo.handlers.duration import to_seconds
from arvo.handlers.effect import Retry
from arvo.handlers.invoke import HandlerReturn
from arvo.handlers.limit import Limit, read_limits

A = TypeVar("A")
# Covariant, so that the handlers of several contracts make one list.
A_co = TypeVar("A_co", covariant=True)

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


# What a worker does with an event whose handler raises an exception that is no `Violated`.
OnError: TypeAlias = Literal["fail", "retry", "dead-letter"]


def _check_retry(_: object, __: object, value: Any) -> None:
    if value is not None and not isinstance(value, Retry):
        _refuse("retry", "a Retry, such as Retry(attempts=5)", value)


def _check_on_error(_: object, __: object, value: Any) -> None:
    if value not in get_args(OnError):
        _refuse("on_error", f"one of {', '.join(get_args(OnError))}", value)


def _read_timeout(value: timedelta | float | None) -> float | None:
    seconds = None if value is None else to_seconds("timeout", value)
    if seconds == 0:
        _refuse("timeout", "more than 0 seconds, or None for no limit", value)
    return seconds


def _refuse(name: str, expected: str, value: object) -> None:
    issue = Issue(name, expected, short_repr(value))
    raise Violated(ConfigViolation("the policy of the handler is invalid", issue))


@final
@frozen
class HandlerPolicy:
    """What a worker does with an event whose handler fails or takes long, as data.

    *retry*: how often and when an event is tried again, in place of the runtime's policy. *timeout*
    limits the effects of one attempt, together and with their own retries: a timedelta or seconds,
    None for no limit. An effect that is not done by then raises `TimeoutError` in the handler. The
    handler's own code is not limited, as nothing can interrupt it.
    *on_error*: what follows from an exception that escapes the handler:

    - "fail": a system error event to the requester, and a workflow ends as failed;
    - "retry": another attempt by the retry policy; the last one fails as above;
    - "dead-letter": nothing changes, and the event becomes a dead letter with the exception as its
      reason, so that an operator can redrive it after the handler is mended.

    *limits*: how many events are processed at once, or begin within some time, in all processes.

    Raises `Violated` for an invalid value.

    >>> HandlerPolicy(on_error="retry", timeout=timedelta(minutes=1)).timeout
    60.0
    """

    retry: Retry | None = field(default=None, validator=_check_retry)
    timeout: float | None = field(default=None, converter=_read_timeout)
    on_error: OnError = field(default="fail", validator=_check_on_error)
    limits: tuple[Limit, ...] = field(default=(), converter=read_limits)


DEFAULT_POLICY: Final = HandlerPolicy()


@frozen(init=False)
class EventHandler(Generic[A_co]):
    """Functions that answer the events of a contract, one for each of its versions.

    *functions* map each version to a function from `Event[payload]` to commands: None, one command,
    a sequence, a `Result` of these, or a generator that asks for effects. *executionunits*: the
    cost of its events where a command names none. *source* is its address, and the source of its
    events: the event type that it accepts. *retry*, *timeout*, *on_error* and *limits*: see
    `HandlerPolicy`. Raises `Violated` for a version without a function and for a function without a
    version.
    """

    contract: Contract[Any]
    functions: Mapping[str, HandlerFunction[Any]]
    executionunits: float
    domains: HandlerDomains
    policy: HandlerPolicy
    source: str = field(init=False, repr=False, eq=False)

    @source.default
    def _default_source(self) -> str:
        return self.contract.type

    # A contract whose versions accept different classes is a Contract[object]: no single payload
    # class fits its functions, so the type checker does not check their argument.
    @overload
    def __init__(
        self,
        contract: Contract[A_co],
        functions: Mapping[str, HandlerFunction[A_co]],
        *,
        executionunits: float = 0,
        domains: HandlerDomains = ...,
        retry: Retry | None = ...,
        timeout: timedelta | float | None = ...,
        on_error: OnError = ...,
        limits: Iterable[Limit] = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: "EventHandler[object]",
        contract: Contract[object],
        functions: Mapping[str, HandlerFunction[Any]],
        *,
        executionunits: float = 0,
        domains: HandlerDomains = ...,
        retry: Retry | None = ...,
        timeout: timedelta | float | None = ...,
        on_error: OnError = ...,
        limits: Iterable[Limit] = ...,
    ) -> None: ...
    def __init__(
        self,
        contract: Contract[Any],
        functions: Mapping[str, HandlerFunction[Any]],
        *,
        executionunits: float = 0,
        domains: HandlerDomains = HandlerDomains(),
        retry: Retry | None = None,
        timeout: timedelta | float | None = None,
        on_error: OnError = "fail",
        limits: Iterable[Limit] = (),
    ) -> None:
        check_versions(contract, functions, "the event")
        policy = HandlerPolicy(retry, timeout, on_error, limits)
        self.__attrs_init__(contract, dict(functions), executionunits, domains, policy)


def check_versions(contract: Contract[Any], functions: Mapping[str, object], argument: str) -> None:
    """Raise `Violated` unless *functions* has exactly the versions of *contract*, and each takes
    one *argument*, such as "the event".
    """
    check_argument("contract", contract, Contract, "a Contract", of="a handler")
    expected = 'a mapping of functions: {"1.0.0": function}'
    check_argument("functions", functions, Mapping, expected, of=f"a handler of {contract.uri}")
    issues = [
        Issue(f"handler.{version}", "a function for this version", "nothing")
        for version in contract.sorted_versions
        if version not in functions
    ] + [
        Issue(f"handler.{version}", f"one of {', '.join(contract.sorted_versions)}", "a function")
        for version in functions
        if version not in contract.versions
    ]
    message = f"contract {contract.uri} requires a handler for each of its versions"
    if not issues:
        message = f"a function of the handler of {contract.uri} cannot be called"
        issues = [
            issue
            for version, function in functions.items()
            for issue in function_issues(f"handler.{version}", function, argument)
        ]
    if issues:
        raise Violated(ConfigViolation(message, tuple(issues)))
