"""Events: read events, payloads to build events from, or contracts, out of a JSON file."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from arvo.cli.terminal.errors import UsageError
from arvo.core.contracts.contract import Contract
from arvo.core.contracts.versioned_workflow import VersionedWorkflow
from arvo.core.events.event import Event
from arvo.core.events.json_text import NotJson, parse_json
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues, short_repr
from arvo.core.violations.violation import Violated
from arvo.engine.system.system import System


def read_events(
    system: System,
    path: str,
    event_type: str | None,
    source: str,
    workflow_id: str | None = None,
) -> list[Event[Any]]:
    """Read the events in the file at *path* (`-` for standard input).

    The file holds one JSON object, a list of objects, or one object a line. With *event_type* the
    objects are payloads, and each becomes an event of that type from *source*; a single one may
    begin a workflow with a *workflow_id*. Raises `UsageError`
    that names the entry and the fault before any event is sent.
    """
    events: list[Event[Any]] = []
    contents = list(_split(read_source(path)))
    if workflow_id is not None and (event_type is None or len(contents) != 1):
        raise UsageError(f"--id: expected --type and one payload, got {len(contents)} entries")
    for number, content in enumerate(contents, start=1):
        try:
            made = (
                _parse_event(content)
                if event_type is None
                else _make_event(system, event_type, content, source, workflow_id)
            )
        except (Violated, UsageError) as error:
            raise UsageError(f"event {number} of {_describe_source(path)}: {error}") from error
        events.append(made)
    return events


def parse_payload(text: str) -> dict[str, Any]:
    """Read the payload of an event from the command line; raises `UsageError`."""
    content = parse_json(text, "data")
    if isinstance(content, Issues):
        raise UsageError(f"--data: {content}")
    if not isinstance(content, dict):
        raise UsageError(f"--data: expected a JSON object, got {short_repr(content)}")
    return content


def read_source(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _split(text: bytes) -> Iterator[Any]:
    whole = parse_json(text, "event")
    if isinstance(whole, NotJson):
        yield from _split_lines(text)
    elif isinstance(whole, Issues):
        raise UsageError(f"the events cannot be read: {whole}")
    else:
        yield from whole if isinstance(whole, list) else (whole,)


def _split_lines(text: bytes, whole: str = "event", path: str = "") -> Iterator[Any]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            content = parse_json(line, whole, path)
            if isinstance(content, NotJson):
                # Once more, with the lines before it, so that the position is that in the text.
                content = parse_json(b"\n" * (number - 1) + line, whole, path)
            if isinstance(content, Issues):
                raise UsageError(f"line {number}: {content}")
            yield content


def read_contracts(path: str) -> list[Contract[Any]]:
    """Read the contracts in the file at *path* (`-` for standard input), at least one.

    The file holds one JSON object, a list of objects, or one object a line. Raises `UsageError`
    that names the contract, or the line and the column, and the fault.
    """
    source, contracts = _describe_source(path), []
    try:
        contents = list(_split_contracts(read_source(path)))
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from error
    for number, content in enumerate(contents, start=1):
        try:
            contracts.append(Contract.from_json_schema(content))
        except Violated as error:
            raise UsageError(f"contract {number} of {source}: {error}") from error
    if not contracts:
        raise UsageError(f"{source}: expected at least one contract, got an empty list")
    return contracts


def _split_contracts(text: bytes) -> Iterator[Any]:
    whole = parse_json(text, "contract", "contract")
    first, _, more = text.strip().partition(b"\n")
    if isinstance(whole, NotJson) and more and not isinstance(parse_json(first, ""), NotJson):
        yield from _split_lines(text, "contract", "contract")
    elif isinstance(whole, Issues):
        raise UsageError(str(whole))
    else:
        yield from whole if isinstance(whole, list) else (whole,)


def _parse_event(content: object) -> Event[Any]:
    # Encoded once more, because `parse` enforces the bounds on foreign input.
    return Event.parse(orjson.dumps(content))


def _make_event(
    system: System, event_type: str, content: object, source: str, workflow_id: str | None
) -> Event[Any]:
    handler = system.handler_at(event_type)
    if handler is None:
        known = ", ".join(system.addresses) or "none"
        raise UsageError(f"expected a type that a handler takes ({known}), got {event_type!r}")
    contract = handler.contract.version("latest")
    if workflow_id is not None and not isinstance(contract, VersionedWorkflow):
        raise UsageError(f"--id: expected the type of a workflow, got {event_type!r}")
    kind = contract.accepted.type
    # Not by the contract's own reader: it requires fields that the protocol adds to the payload.
    payload = content if kind is None else Payload.of(kind).read(content)
    if isinstance(payload, Issues):
        raise UsageError(f"{contract.dataschema} refuses the payload: {payload}")
    if workflow_id is None:
        event: Event[Any] = contract.accepts(payload, source=source)
        return event
    assert isinstance(contract, VersionedWorkflow)
    return contract.init(payload, source=source, workflow_id=workflow_id)


def _describe_source(path: str) -> str:
    return "the standard input" if path == "-" else path
