"""Tools: whatever an agent may call, as a contract and, for a function, the handler of it."""

import inspect
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, final, get_type_hints

import attrs
import orjson
from attrs import field, frozen

from arvo.agents.conversation import ToolSpec
from arvo.core.command import Emit
from arvo.core.contracts.simple import SimpleContract
from arvo.core.contracts.version_spec import Version
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT, VersionedWorkflow, request_schema
from arvo.core.events.event import Event
from arvo.core.events.protocol import SystemFault
from arvo.core.payloads.secrets import hide_secrets
from arvo.core.payloads.types.adapters import is_payload_class
from arvo.core.violations.arguments import refusal
from arvo.core.violations.issue import Issue, Issues, one_line, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.duration import to_timedelta
from arvo.handlers.effect import Effects, Retry
from arvo.handlers.effect import call as call_effect
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.services import declared_version

# The names of tools that providers accept.
NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
# The tool by which a model of a provider gives its final answer.
FINAL: Final = "final_result"
VERSION: Final = "1.0.0"
# A service that never answers must not hold the run; a workflow ends by itself.
PATIENCE: Final = timedelta(days=1)
ARGUMENTS_CHARACTERS_MAX: Final = 256 * 1024


class Key(str):
    """Annotates the parameter of a tool's function that gets the idempotency key of the call."""

    __slots__ = ()


def _check_name(_: object, __: object, value: Any) -> None:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise refusal("name", value, f"a name= that matches {NAME.pattern}", "a tool")
    if value == FINAL:
        raise refusal("name", value, "a name= that is not that of the final answer", "a tool")


def _check_contract(_: object, __: object, value: Any) -> None:
    if not isinstance(value, VersionedContract):
        expected = 'a function, or one version of a contract, such as refund["1.0.0"]'
        raise refusal("contract", value, expected, "a tool")
    if not value.emitted:
        raise refusal("contract", value.dataschema, "a contract that emits an answer", "a tool")
    if isinstance(value, VersionedWorkflow) and value.key is not None:
        expected = "a contract without a key: a run that several senders share answers none"
        raise refusal("contract", value.dataschema, expected, "a tool")


@final
@frozen(kw_only=True)
class Tool:
    """A tool of an agent: the contract of a service or workflow, under a *name* for the model.

    *handler*: answers the contract's requests, for a tool that brings its own. *patience*: how long
    the agent waits for the answer; None for good. `tool` makes it.
    """

    name: str = field(validator=_check_name)
    description: str
    contract: VersionedContract[Any] = field(validator=_check_contract)
    handler: EventHandler[Any] | None = None
    patience: timedelta | None = None

    @property
    def spec(self) -> ToolSpec:
        """The tool as a model sees it."""
        own = {"type": "object", "properties": {}, "required": []}
        return ToolSpec(self.name, self.description, own | request_schema(self.contract))

    def read(self, arguments: str) -> str | Issues:
        """Return arguments as the JSON text that the contract accepts, with its defaults.

        It is stable: it reads its own result as the same text.
        """
        if len(arguments) > ARGUMENTS_CHARACTERS_MAX:
            expected = f"at most {ARGUMENTS_CHARACTERS_MAX} characters"
            return Issues.one("arguments", expected, f"{len(arguments)}")
        try:
            data = orjson.loads(arguments or "{}")
        except ValueError as error:
            return Issues.one("arguments", "a JSON object", one_line(str(error)))
        if not isinstance(data, dict):
            return Issues.one("arguments", "a JSON object", short_repr(data))
        # A model cannot name the parent of a child: that is the agent.
        is_workflow = isinstance(self.contract, VersionedWorkflow)
        extra = {PARENT_SUBJECT: None} if is_workflow else None
        written = self.contract.accepted.write(data, extra, "arguments")
        if isinstance(written, Issues):
            return written
        own = {key: value for key, value in written.items() if not extra or key not in extra}
        return orjson.dumps(own).decode()

    def write_result(self, event: Event[Any]) -> str:
        """Return the answer of the service as the text that the model gets, without its secrets."""
        if isinstance(event.data, SystemFault):
            return f"error: {event.data.name}: {event.data.message}"
        payload = self.contract.emitted[event.type]
        shown = hide_secrets(payload.checked_schema, event.raw)
        if len(self.contract.emitted) > 1:
            shown = {"type": event.type, "data": shown}
        return orjson.dumps(shown).decode()


def tool(
    source: Any,
    *,
    name: str | None = None,
    description: str | None = None,
    retry: Retry | None = None,
    timeout: timedelta | float | None = None,
    patience: timedelta | float | None = PATIENCE,
) -> Tool:
    """Make a tool of a contract's version, of a decorated service, or of an annotated function.

    A function, plain or async, runs as an effect of a handler of its own, which `Agent.handlers`
    has: it may do I/O, and is repeated after a crash. Its parameters become the arguments; one
    annotated with `Key` gets the id of the request, the same in each attempt. *retry* and *timeout*
    are for functions, as in `call`. *name*: by default that of the function, or the event type of
    the contract without `com.` or `arvo.orc.`. *description*: by default its docstring or that of
    the contract. *patience*: how long the agent waits for the answer; a workflow ends by itself, so
    it waits for that without a limit. Raises `Violated`, which names each invalid value.
    """
    if isinstance(source, Tool):
        return source
    declared = declared_version(source)
    spans = None if patience is None else to_timedelta("patience", patience)
    if inspect.isroutine(source):
        return _function_tool(source, name, description, _Call(source, retry, timeout), spans)
    if not isinstance(declared, VersionedContract):
        expected = 'a function, or one version of a contract, such as refund["1.0.0"]'
        raise refusal("source", source, expected, "tool")
    is_workflow = isinstance(declared, VersionedWorkflow)
    return Tool(
        name=tool_name(declared.type) if name is None else name,
        description=description or declared.description or declared.type,
        contract=declared,
        patience=None if is_workflow and spans == PATIENCE else spans,
    )


def tool_name(event_type: str) -> str:
    """Return the name of a contract's tool.

    >>> tool_name("com.payment.refund"), tool_name("arvo.orc.order.fulfil")
    ('payment_refund', 'order_fulfil')
    """
    short = event_type.removeprefix("com.").removeprefix("arvo.orc.")
    return re.sub(r"[^A-Za-z0-9_-]", "_", short)


@final
@frozen
class _Call:
    """The effect of a tool's function."""

    function: Callable[..., Any]
    retry: Retry | None
    timeout: timedelta | float | None

    def perform(self, arguments: tuple[Any, ...]) -> Effects[Any]:
        return call_effect(self.function, *arguments, retry=self.retry, timeout=self.timeout)


def _function_tool(
    function: Callable[..., Any],
    name: str | None,
    description: str | None,
    effect: _Call,
    patience: timedelta | None,
) -> Tool:
    own = function.__name__
    hints = _read_hints(function)
    returned = hints.pop("return")
    keys = frozenset(it for it, hint in hints.items() if hint is Key)
    accepted = _make_class(f"{own}_arguments", _fields(function, hints, keys))
    result = returned
    if not (isinstance(returned, type) and is_payload_class(returned)):
        result = _make_class(f"{own}_result", {"value": attrs.field(type=returned)})
    contract = SimpleContract(
        uri=f"#/tools/{own}",
        type=f"tool.{own.strip('_').replace('_', '.').lower()}",
        description=description or inspect.getdoc(function) or own,
        versions={VERSION: Version(accepts=accepted, emits=result)},
    )

    def work(event: Event[Any]) -> Effects[Emit]:
        values = (event.id if it in keys else getattr(event.data, it) for it in hints)
        value = yield from effect.perform(tuple(values))
        return Emit(value if result is returned else result(value))

    return Tool(
        name=own if name is None else name,
        description=contract.description or own,
        contract=contract[VERSION],
        handler=EventHandler(contract, {VERSION: work}),
        patience=patience,
    )


def _read_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of the parameters, in their order, and `return`."""
    place = getattr(function, "__qualname__", short_repr(function))
    try:
        hints = get_type_hints(function, include_extras=True)
    except Exception as error:  # noqa: BLE001 - an annotation is any expression
        raise refusal("function", one_line(str(error)), "annotations to read", place) from None
    parameters = inspect.signature(function).parameters.values()
    issues = [
        Issue(
            f"{place}({it.name})", "an annotated parameter that can be given by position", str(it)
        )
        for it in parameters
        if it.name not in hints or it.name.startswith("_") or it.kind not in _POSITIONAL
    ]
    if "return" not in hints:
        issues.append(Issue(f"{place} ->", "an annotation of its result", "none"))
    if issues:
        raise Violated(ConfigViolation("this function cannot be a tool", tuple(issues)))
    names = (*(it.name for it in parameters), "return")
    return {name: hints[name] for name in names}


_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


def _fields(
    function: Callable[..., Any], hints: Mapping[str, Any], keys: frozenset[str]
) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters
    defaults = {
        name: attrs.NOTHING if parameters[name].default is inspect.Parameter.empty else it
        for name in hints
        for it in [parameters[name].default]
    }
    return {
        name: attrs.field(type=hint, default=defaults[name], kw_only=True)
        for name, hint in hints.items()
        if name not in keys
    }


def _make_class(name: str, fields: Mapping[str, Any]) -> type[Any]:
    made: type[Any] = attrs.make_class(name, dict(fields), frozen=True)
    return made
