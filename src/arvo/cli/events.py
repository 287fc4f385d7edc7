"""Events: read events, or payloads to build events from, out of a JSON file."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from arvo.cli.errors import UsageError
from arvo.core.events.event import Event
from arvo.core.events.json_text import NotJson, parse_json
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues
from arvo.core.violations.violation import Violated
from arvo.engine.system.system import System


def read_events(system: System, path: str, event_type: str | None, source: str) -> list[Event[Any]]:
    """Read the events in the file at *path* (`-` for standard input).

    The file holds one JSON object, a list of objects, or one object a line. With *event_type* the
    objects are payloads, and each becomes an event of that type from *source*. Raises `UsageError`
    that names the entry and the fault before any event is sent.
    """
    events: list[Event[Any]] = []
    for number, content in enumerate(list(_split(_read_source(path))), start=1):
        try:
            made = (
                _parse_event(content)
                if event_type is None
                else _make_event(system, event_type, content, source)
            )
        except (Violated, UsageError) as error:
            raise UsageError(f"event {number} of {_describe_source(path)}: {error}") from error
        events.append(made)
    return events


def _read_source(path: str) -> bytes:
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


def _split_lines(text: bytes) -> Iterator[Any]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            content = parse_json(line, "event")
            if isinstance(content, Issues):
                raise UsageError(f"line {number}: {content}")
            yield content


def _parse_event(content: object) -> Event[Any]:
    # Encoded once more, because `parse` enforces the bounds on foreign input.
    return Event.parse(orjson.dumps(content))


def _make_event(system: System, event_type: str, content: object, source: str) -> Event[Any]:
    handler = system.handler_at(event_type)
    if handler is None:
        known = ", ".join(system.addresses) or "none"
        raise UsageError(f"expected a type that a handler takes ({known}), got {event_type!r}")
    contract = handler.contract.version("latest")
    kind = contract.accepted.type
    # Not by the contract's own reader: it requires fields that the protocol adds to the payload.
    payload = content if kind is None else Payload.of(kind).read(content)
    if isinstance(payload, Issues):
        raise UsageError(f"{contract.dataschema} refuses the payload: {payload}")
    event: Event[Any] = contract.accepts(payload, source=source)
    return event


def _describe_source(path: str) -> str:
    return "the standard input" if path == "-" else path
