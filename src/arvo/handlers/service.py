"""Service: a contract and its handler, made from an annotated function."""

import builtins
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from datetime import timedelta
from functools import update_wrapper
from typing import Any, Final, Generic, Protocol, TypeVar, final, overload

from attrs import frozen
from returns.result import Result

from arvo.core.command import Emit, Fail
from arvo.core.contracts.contract import Contract
from arvo.core.contracts.version_spec import Version
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.payloads.frozen_json import EMPTY
from arvo.core.payloads.types.classes import type_name
from arvo.core.violations.arguments import check_argument
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, ExecutionViolation, Violated
from arvo.handlers.annotations import Signature, describe_function, read_signature
from arvo.handlers.composed import function_place
from arvo.handlers.effect import Effects, Retry
from arvo.handlers.event_handler import EventHandler, HandlerFunction, OnError
from arvo.handlers.limit import Limit

P = TypeVar("P")
R = TypeVar("R")
V = TypeVar("V")

FIRST_VERSION: Final = "1.0.0"
# Between the words of a class name: `CardDeclined`, `HTTPAnswer`, `Card_Declined`.
_WORDS: Final = re.compile(r"\w+")
_BETWEEN_WORDS: Final = re.compile(r"_+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@final
@frozen(init=False, eq=False)
class Service(EventHandler[P], Generic[P, R, V]):  # type: ignore[override]  # its constructor
    """An event handler made by `service`: the function, its contract and its earlier versions.

    It is called as the *function* is. *version* is the version of the contract that the function
    answers; `check["1.0.0"]` is one version, with its event factories.
    """

    function: Callable[[P], V]
    version: str

    def __init__(
        self, handler: EventHandler[Any], function: Callable[[P], V], version: str
    ) -> None:
        self.__attrs_init__(
            handler.contract,
            handler.functions,
            handler.executionunits,
            handler.domains,
            handler.policy,
            function,
            version,
        )

    def __call__(self, request: P) -> V:
        """Call the function."""
        return self.function(request)

    def __getitem__(self, version: str) -> VersionedContract[Any]:
        return self.contract.version(version)

    @property
    def declared(self) -> VersionedContract[P]:
        """The version of the contract that the function answers."""
        return self.contract.version(self.version)


class _Decorator(Protocol):
    """What `service` returns: it takes a plain function, or a generator function with effects."""

    @overload
    def __call__(self, function: Callable[[P], Effects[R]], /) -> Service[P, R, Effects[R]]: ...
    @overload
    def __call__(
        self, function: Callable[[P], Result[R, Fail]], /
    ) -> Service[P, R, Result[R, Fail]]: ...
    @overload
    def __call__(self, function: Callable[[P], R], /) -> Service[P, R, R]: ...


def service(
    type: str,  # noqa: A002 - the wire's name
    version: str = FIRST_VERSION,
    *,
    emits: Mapping[str, builtins.type[Any]] = EMPTY,
    uri: str | None = None,
    executionunits: float = 0,
    retry: Retry | None = None,
    timeout: timedelta | float | None = None,
    on_error: OnError = "fail",
    limits: Iterable[Limit] = (),
    earlier: Service[Any, Any, Any] | None = None,
) -> _Decorator:
    """Make an annotated function a contract and its handler.

    It is written so::

        @service("com.credit.check")
        def check(request: CheckCredit) -> CreditScored | CreditUnknown: ...

    The function takes the payload that the contract accepts, and returns the payload of its answer:
    by itself, at the end of a generator with effects (`Effects[CreditScored]`), or in a `Result`
    whose failure is a `Fail`. None answers nothing, and is a violation where the annotation does
    not name it. An exception that escapes is a system error. The first paragraph of its docstring
    describes the contract.

    *emits* maps event types to classes that the function returns. A class that it leaves out has
    the type `evt.<type>.<words of its name>`: `evt.com.credit.check.credit.scored`. *uri* is
    `#/com/credit/check` by default. *executionunits*: the cost of its events. *retry*, *timeout*,
    *on_error* and *limits*: see `HandlerPolicy`. *earlier*: the service to which this version is
    added. Raises `Violated` for annotations that name no payload classes, and for an invalid
    contract.
    """

    check_argument("type", type, str, "an event type: 'com.credit.check'", of="service")
    check_argument("version", version, str, "a version: '1.0.0'", of="service")
    check_argument("emits", emits, Mapping, "a mapping of event types to classes", of="service")
    expected = "a function that `service` decorates"
    check_argument("earlier", earlier, Service | None, expected, of="service")

    def decorate(function: Callable[[Any], Any]) -> Service[Any, Any, Any]:
        signature = read_signature("service", function)
        spec = Version(accepts=signature.accepts, emits=_event_types(type, signature, emits))
        added = Contract(
            uri=uri or uri_of(type),
            type=type,
            description=describe_function(function),
            versions={version: spec},
        )
        if earlier is not None:
            added = Contract.of([*earlier.contract.versions.values(), added[version]])
        functions = {
            **({} if earlier is None else earlier.functions),
            version: _handle(function, signature),
        }
        handler = EventHandler(
            added,
            functions,
            executionunits=executionunits,
            retry=retry,
            timeout=timeout,
            on_error=on_error,
            limits=limits,
        )
        return Service(handler, function, version)

    return decorate


def uri_of(event_type: str) -> str:
    """Return the URI of a contract that names none.

    >>> uri_of("com.credit.check")
    '#/com/credit/check'
    """
    return f"#/{event_type.replace('.', '/')}"


def _event_types(
    accepted: str, signature: Signature, named: Mapping[str, builtins.type[Any]]
) -> dict[str, builtins.type[Any]]:
    """Return the class of each event type that a function emits."""
    unknown = [
        Issue(f"emits.{name}", "a class that the function returns", short_repr(kind))
        for name, kind in named.items()
        if kind not in signature.returns
    ]
    if unknown:
        raise Violated(ConfigViolation(f"the service {accepted} is invalid", tuple(unknown)))
    types = dict(named)
    for kind in signature.returns:
        if kind in named.values():
            continue
        # The brackets of a generic class separate words, too.
        parts = _WORDS.findall(type_name(kind))
        words = (word for part in parts for word in _BETWEEN_WORDS.split(part) if word)
        name = f"evt.{accepted}.{'.'.join(words).lower()}"
        if types.setdefault(name, kind) is not kind:
            issue = Issue(f"emits.{name}", "one class; name the other in emits=", type_name(kind))
            raise Violated(ConfigViolation(f"the service {accepted} is invalid", issue))
    return types


def _handle(function: Callable[[Any], Any], signature: Signature) -> HandlerFunction[Any]:
    """Return the function of an event handler that answers with what *function* returns."""

    def handle(event: Event[Any]) -> Any:
        returned = function(event.data)
        return finish(returned) if isinstance(returned, Generator) else commands(returned)

    def finish(generator: Generator[Any, Any, Any]) -> Effects[Any]:
        return commands((yield from generator))

    def commands(returned: Any) -> Any:
        if isinstance(returned, Result):
            return returned.map(commands)
        if isinstance(returned, Fail) or (returned is None and not signature.is_optional):
            raise _no_answer(function, signature, returned)
        return None if returned is None else Emit(returned)

    # Tracebacks and messages name the function that the author knows.
    return update_wrapper(handle, function)


def _no_answer(function: object, signature: Signature, returned: object) -> Violated:
    """Return the violation of a service that answers nothing: its caller would wait for good."""
    names = " or ".join(map(type_name, signature.returns)) or "None"
    remedy = "an exception, or a `Result` with a `Fail`, to fail"
    if returned is None:
        remedy = "`| None` in the annotation of one that answers nothing"
    issue = Issue(
        f"return of {function_place(function)}", f"{names}, or {remedy}", short_repr(returned)
    )
    return Violated(ExecutionViolation("the service returns no answer", issue))
