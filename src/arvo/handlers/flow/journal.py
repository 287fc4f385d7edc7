"""Journal: what a flow was told, as JSON, so that a replay can tell it again."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, get_args, get_origin, get_type_hints

import attrs
import orjson

from arvo.core.command import Compensate, Emit
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.events.fault import FAULT, SystemFault
from arvo.core.payloads.converter import converter, structure, writer
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json import Json, freeze, frozen_json
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, Issues, short
from arvo.core.violations.violation import ExecutionViolation, Violated
from arvo.handlers.effect import Perform, Performed
from arvo.handlers.flow.operations import Listen, Nap, Request, Tell, Waiting
from arvo.handlers.flow.primitives import CallFailed
from arvo.handlers.services import asked, is_meant

# What a wish says of itself in the journal; two that differ further on differ in their digest.
SAID_CHARACTERS_MAX: Final = 160
# Functions whose return type is remembered.
FUNCTIONS_MAX: Final = 1_000


def said(wish: Waiting | Tell) -> str:
    """Say a wish in one line, the same in every process, so that a replay can compare.

    >>> said(Listen((int,)))
    'wait for int'
    """
    match wish:
        case Request(emit=emit):
            return _cut(f"ask {_said_emit(emit)}")
        case Tell(command=command):
            if isinstance(command, Compensate):
                return _cut(f"undo by {_said_emit(command.emit)}")
            return _cut(f"emit {_said_emit(command)}")
        case Nap():
            return f"sleep {_said_nap(wish)}"
        case Listen(kinds=kinds, timeout=timeout):
            names = " | ".join(kind.__name__ for kind in kinds)
            return f"wait for {names}{'' if timeout is None else f', {_said_nap(timeout)}'}"
        case Perform():
            return _cut(f"call {wish}")


def _said_emit(emit: Emit) -> str:
    kind: type[Any] = type(emit.payload)
    name = emit.type or kind.__name__
    if emit.to is not None or emit.domain:
        name += f" to {emit.to or 'its handler'} by {emit.domain or 'default'}"
    data = Payload.of(kind).write(emit.payload) if attrs.has(kind) else emit.payload
    try:
        return f"{name} {orjson.dumps(data, option=orjson.OPT_SORT_KEYS).decode()}"
    except TypeError:
        # What does not fit is refused where it is sent, with each field; here it is only named.
        return f"{name} {short(emit.payload)}"


def _said_nap(nap: Nap) -> str:
    return f"until {nap.until.isoformat()}" if nap.until is not None else str(nap.span)


def _cut(text: str) -> str:
    if len(text) <= SAID_CHARACTERS_MAX:
        return text
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=6).hexdigest()
    return f"{text[:SAID_CHARACTERS_MAX]}… ({digest})"


def entry(number: int, asked: str, got: dict[str, Any] | None = None) -> FrozenDict:
    """Write one line of the journal: which wish was granted, and with what."""
    line: dict[str, Any] = {"at": number, "asked": asked}
    if got is not None:
        line["got"] = got
    return FrozenDict(line)


def written_event(event: Event[Any]) -> FrozenDict:
    """Write a reply or a signal: its type and its data."""
    return FrozenDict({"type": event.type, "data": event.raw})


def read_reply(services: Sequence[VersionedContract[Any]], wish: Request, got: Any) -> Any:
    """Read a reply anew: a payload of the service's class, or its system error.

    Raises `Violated` where the contract has changed under the journal.
    """
    # Whoever was asked first: others may answer with events of the same type.
    for service in sorted(services, key=lambda each: not is_meant(each, wish.emit)):
        if got["type"] == service.system_error_type:
            return _read(FAULT, got)
        if got["type"] in service.emitted:
            return _read(service.emitted[got["type"]], got)
    known = ", ".join(each.type for each in services) or "none"
    raise _stale(Issue("journal.got.type", f"an answer of a service ({known})", got["type"]))


def read_signal(signals: Sequence[VersionedContract[Any]], got: Any) -> Any:
    """Read a signal anew; raises `Violated` where its contract has changed under the journal."""
    signal = asked(signals, got["type"])
    if signal is None:
        known = ", ".join(each.type for each in signals) or "none"
        raise _stale(Issue("journal.got.type", f"a signal of the flow ({known})", got["type"]))
    return _read(signal.accepted, got)


def _read(payload: Payload[Any], got: Any) -> Any:
    data = payload.read(got["data"], "journal.got.data")
    if isinstance(data, Issues):
        raise _stale(*data.items)
    return frozen_json(data) if payload.type is None else data


def service_of(services: Sequence[VersionedContract[Any]], event_type: str) -> str:
    """Name the service that a system error comes from."""
    return next((each.type for each in services if each.system_error_type == event_type), "")


def write_call(wish: Perform[Any], value: object, error: Exception | None) -> FrozenDict:
    """Write what a call came to; raises `Violated` for a value that cannot be remembered."""
    if error is not None:
        fault = SystemFault.of(error)
        return FrozenDict({"error": FrozenDict({"name": fault.name, "message": fault.message})})
    kind = returned(wish.function)
    json = freeze(_plain(kind, value), "call")
    if isinstance(json, Issues):
        expected = (
            "a function that returns JSON, or what its annotation says, such as an attrs class"
        )
        issue = Issue(str(wish), expected, f"{short(value)} ({type(value).__name__})")
        raise Violated(ExecutionViolation("a flow cannot remember this", (issue, *json.items)))
    return FrozenDict({"value": json})


def read_call(wish: Perform[Any], got: Any) -> Any:
    """Read what a call came to: its value, or the `CallFailed` to raise."""
    if "error" in got:
        name = getattr(wish.function, "__qualname__", repr(wish.function))
        return CallFailed(name, got["error"]["name"], got["error"]["message"])
    kind = returned(wish.function)
    if kind is Any:
        return got["value"]
    value = structure(kind, got["value"], f"call {wish}")
    if isinstance(value, Issues):
        raise _stale(*value.items)
    return value


def performed_then(wish: Perform[Any], line: Any) -> Performed | None:
    """Give a call as it was performed, by its line; None where the line is of another call."""
    if line["asked"] != said(wish):
        return None
    got = line["got"]["call"]
    if "error" not in got:
        return Performed(wish, value=read_call(wish, got))
    # Name and message are all that is known of it, and all that the flow is told.
    kind = type(got["error"]["name"], (Exception,), {})
    return Performed(wish, error=kind(got["error"]["message"]))


def _plain(kind: Any, value: object) -> Json:
    # A class says how it is written even where the annotation says less.
    if attrs.has(type(value)) and (kind is Any or kind is object):
        kind = type(value)
    plain: Json = value if kind is Any else writer(kind)(value)  # type: ignore[assignment]
    return plain


def returned(function: Callable[..., Any]) -> Any:
    """Find what a function says it returns; Any where it says nothing that JSON can be read as."""
    try:
        return _hinted(function)
    except TypeError:
        return Any  # an object that has no hash cannot be remembered


@lru_cache(maxsize=FUNCTIONS_MAX)
def _hinted(function: Callable[..., Any]) -> Any:
    try:
        hints = get_type_hints(inspect.unwrap(function))
    except Exception:  # noqa: BLE001 - a partial or a built-in has none, a name may be unknown
        return Any
    kind = hints.get("return", Any)
    if get_origin(kind) is not None and issubclass(_class(get_origin(kind)), Awaitable):
        kind = (*get_args(kind), Any)[-1] if get_args(kind) else Any
    try:
        converter().get_structure_hook(kind)
    except Exception:  # noqa: BLE001 - cattrs has no way to read it; JSON is all there is
        return Any
    return kind


def _class(kind: Any) -> type:
    return kind if isinstance(kind, type) else object


def _stale(*issues: Issue) -> Violated:
    message = "the journal no longer fits the contracts (keep the old version, or migrate)"
    return Violated(ExecutionViolation(message, issues))
