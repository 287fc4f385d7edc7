"""Journal: the operations of a flow and their answers as JSON, for a replay."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, TypeAlias, get_args, get_origin, get_type_hints

import orjson

from arvo.core.command import Compensate, Emit
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.events.protocol import FAULT, SystemFault
from arvo.core.payloads.converter import converter, structure, unstructure_hook
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json_data import Json, freeze, freeze_unchecked
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.adapters import is_payload_class
from arvo.core.payloads.types.classes import type_name
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violated
from arvo.handlers.effect import Perform, Performed
from arvo.handlers.flow.errors import CallFailed
from arvo.handlers.flow.operations import (
    Delay,
    IssueCommand,
    PendingOperation,
    Request,
    WaitForSignal,
)
from arvo.handlers.services import Services, accepts_emit

# Longer descriptions are cut. A digest of the whole distinguishes those that differ after the cut.
DESCRIPTION_CHARACTERS_MAX: Final = 160
# Functions whose return type is cached, and classes whose payload is.
FUNCTIONS_MAX: Final = 1_000
CLASSES_MAX: Final = 1_000

# One entry: the number of an operation ("at"), its description ("asked") and, once it has one, its
# answer ("got"). The first entry of a journal holds the event that began the workflow.
JournalEntry: TypeAlias = Mapping[str, Any]


def describe(operation: PendingOperation | IssueCommand) -> str:
    """Return an operation as one line, equal in every process, so that a replay can compare it.

    >>> describe(WaitForSignal((int,)))
    'signal int'
    """
    match operation:
        case Request(emit=emit):
            return _shorten(f"ask {_describe_emit(emit)}")
        case IssueCommand(command=command):
            if isinstance(command, Compensate):
                return _shorten(f"compensate with {_describe_emit(command.emit)}")
            return _shorten(f"tell {_describe_emit(command)}")
        case Delay():
            return f"sleep {_describe_delay(operation)}"
        case WaitForSignal(types=types, timeout=timeout):
            names = " | ".join(map(type_name, types))
            return f"signal {names}{'' if timeout is None else f', {_describe_delay(timeout)}'}"
        case Perform():
            return _shorten(f"call {operation}")


def _describe_emit(emit: Emit) -> str:
    kind: type[Any] = type(emit.payload)
    name = emit.type or kind.__name__
    if emit.to is not None or emit.domain:
        name += f" to {emit.to or 'its handler'} by {emit.domain or 'default'}"
    try:
        data = _write(kind, emit.payload)
        return f"{name} {orjson.dumps(data, option=orjson.OPT_SORT_KEYS).decode()}"
    except TypeError:
        # An invalid payload is refused when it is sent, with each field. Here it is only described.
        return f"{name} {short_repr(emit.payload)}"


def _write(kind: Any, value: object) -> object:
    try:
        payload = _payload_of(kind)
    except LookupError:
        return value
    return payload.write(value)


@lru_cache(maxsize=CLASSES_MAX)
def _payload_of(kind: type[Any]) -> Payload[Any]:
    """Return the payload of a class. LookupError, for another one, is not cached: a class of
    pydantic becomes one when `arvo.pydantic` is imported.
    """
    if not is_payload_class(kind):
        raise LookupError(kind)
    return Payload.of(kind)


def _describe_delay(delay: Delay) -> str:
    return f"until {delay.until.isoformat()}" if delay.until is not None else str(delay.span)


def _shorten(text: str) -> str:
    if len(text) <= DESCRIPTION_CHARACTERS_MAX:
        return text
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=6).hexdigest()
    return f"{text[:DESCRIPTION_CHARACTERS_MAX]}… ({digest})"


def make_entry(number: int, description: str, answer: JournalEntry | None = None) -> FrozenDict:
    """Make the entry of an operation; a command has no *answer*."""
    entry: dict[str, Any] = {"at": number, "asked": description}
    if answer is not None:
        entry["got"] = answer
    return FrozenDict(entry)


def dump_event(event: Event[Any]) -> FrozenDict:
    """Return a reply or a signal as an answer: its type and its data."""
    return FrozenDict({"type": event.type, "data": event.raw})


def dump_signal(signals: Services, event: Event[Any]) -> FrozenDict:
    """Return a signal as an answer; with its sender and id where its contract has an answer."""
    dumped = dump_event(event)
    if not signals.by_type[event.type].emitted:
        return dumped
    sender = {"id": event.id, "to": event.redirectto or event.source}
    return FrozenDict({**dumped, "from": FrozenDict(sender)})


def read_reply(services: Services, request: Request, answer: Any) -> Any:
    """Read a recorded reply: a payload of the service's class, or its system error.

    Raises `Violated` where the contract has changed since the reply was recorded.
    """
    candidates = services.by_answer.get(answer["type"], ())
    if not candidates:
        known = ", ".join(service.type for service in services) or "none"
        raise _stale(Issue("journal.got.type", f"an answer of a service ({known})", answer["type"]))
    service = candidates[0]
    if len(candidates) > 1:
        # Others have replies of the same type.
        service = max(candidates, key=lambda candidate: accepts_emit(candidate, request.emit))
    if answer["type"] == service.system_error_type:
        return _read(FAULT, answer)
    return _read(service.emitted[answer["type"]], answer)


def read_signal(signals: Services, answer: Any) -> Any:
    """Read a recorded signal.

    Raises `Violated` where the contract has changed since the signal was recorded.
    """
    signal = signals.by_type.get(answer["type"])
    if signal is None:
        known = ", ".join(signal.type for signal in signals) or "none"
        raise _stale(Issue("journal.got.type", f"a signal of the flow ({known})", answer["type"]))
    return _read(signal.accepted, answer)


def _read(payload: Payload[Any], answer: Any) -> Any:
    data = payload.read(answer["data"], "journal.got.data")
    if isinstance(data, Issues):
        raise _stale(*data.items)
    return freeze_unchecked(data) if not payload.types else data


def service_of(services: Sequence[VersionedContract[Any]], event_type: str) -> str:
    """Return the type of the service that has this type of system error, or an empty string."""
    return next(
        (service.type for service in services if service.system_error_type == event_type), ""
    )


def write_call(call: Perform[Any], value: object, error: Exception | None) -> FrozenDict:
    """Return the result of a call as an answer.

    Raises `Violated` for a value that is not JSON and does not fit the function's annotation.
    """
    if error is not None:
        fault = SystemFault.of(error)
        return FrozenDict({"error": FrozenDict({"name": fault.name, "message": fault.message})})
    json = freeze(_to_json(return_type(call.function), value), "call")
    if isinstance(json, Issues):
        expected = (
            "a function that returns JSON, or a type that it declares, such as a payload class"
        )
        issue = Issue(str(call), expected, f"{short_repr(value)} ({type(value).__name__})")
        raise Violated(ExecutionViolation("a flow cannot record this result", (issue, *json.items)))
    return FrozenDict({"value": json})


def read_call(call: Perform[Any], answer: Any) -> Any:
    """Read the recorded result of a call: its value, or the `CallFailed` to raise."""
    if "error" in answer:
        name = getattr(call.function, "__qualname__", repr(call.function))
        return CallFailed(name, answer["error"]["name"], answer["error"]["message"])
    declared = return_type(call.function)
    if declared is Any:
        return answer["value"]
    value = structure(declared, answer["value"], f"call {call}")
    if isinstance(value, Issues):
        raise _stale(*value.items)
    return value


def recorded_effect(call: Perform[Any], entry: JournalEntry) -> Performed | None:
    """Return the effect that an entry records; None where the entry is of another call."""
    return None if entry["asked"] != describe(call) else performed_by(call, entry["got"]["call"])


def performed_by(call: Perform[Any], answer: Any) -> Performed:
    """Return a call as performed, with its recorded result; raises `Violated` as `read_call`."""
    if "error" not in answer:
        return Performed(call, value=read_call(call, answer))
    # The journal holds only the name and message of an exception, as does `CallFailed`.
    error_class = type(answer["error"]["name"], (Exception,), {})
    return Performed(call, error=error_class(answer["error"]["message"]))


def _to_json(declared: Any, value: object) -> Json:
    # The class of a value is more precise than an annotation of Any or object.
    if is_payload_class(type(value)) and (declared is Any or declared is object):
        declared = type(value)
    if declared is Any:
        return value  # type: ignore[return-value]
    json: Json = unstructure_hook(declared)(value)
    return json


def return_type(function: Callable[..., Any]) -> Any:
    """Return the declared return type; Any where none is declared or cattrs cannot read it."""
    try:
        return _declared_type(function)
    except TypeError:
        return Any  # an unhashable object cannot be cached


@lru_cache(maxsize=FUNCTIONS_MAX)
def _declared_type(function: Callable[..., Any]) -> Any:
    try:
        hints = get_type_hints(inspect.unwrap(function))
    except Exception:  # noqa: BLE001 - a partial or a built-in has none, a name may be unknown
        return Any
    declared = hints.get("return", Any)
    origin = get_origin(declared)
    if isinstance(origin, type) and issubclass(origin, Awaitable):
        declared = (*get_args(declared), Any)[-1] if get_args(declared) else Any
    try:
        converter().get_structure_hook(declared)
    except Exception:  # noqa: BLE001 - cattrs has no hook for this type; the value stays JSON
        return Any
    return declared


def journal_mismatch(number: int, before: str, now: str) -> Violated:
    """Return the exception for a flow that does not perform the operations of its journal."""
    message = "the flow does not match its journal (keep the old version, or migrate)"
    return Violated(ExecutionViolation(message, Issue(f"journal[{number}]", before, now)))


def _stale(*issues: Issue) -> Violated:
    message = "the journal no longer fits the contracts (keep the old version, or migrate)"
    return Violated(ExecutionViolation(message, issues))
