"""Intake: events that come as JSON, or payloads to make events of."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from arvo.cli.errors import Mistake
from arvo.core.events.event import Event
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues
from arvo.core.violations.violation import Violated
from arvo.engine.system.system import System


def intake(system: System, path: str, event_type: str | None, source: str) -> list[Event[Any]]:
    """Read the events of a file, `-` for the standard input: one JSON object, a list of them, or
    one in each line.

    With *event_type* they are payloads, of events of that type from *source*. Raises `Mistake` that
    names the entry, and what is wrong with it, before any is sent.
    """
    events: list[Event[Any]] = []
    for number, content in enumerate(list(_entries(_text(path))), start=1):
        try:
            made = (
                _read(content) if event_type is None else _made(system, event_type, content, source)
            )
        except (Violated, Mistake) as error:
            raise Mistake(f"event {number} of {_named(path)}: {error}") from error
        events.append(made)
    return events


def _text(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise Mistake(f"{path} cannot be read: {error.strerror}") from error


def _entries(text: bytes) -> Iterator[Any]:
    try:
        whole = orjson.loads(text)
    except orjson.JSONDecodeError:
        yield from _lines(text)
        return
    yield from whole if isinstance(whole, list) else (whole,)


def _lines(text: bytes) -> Iterator[Any]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise Mistake(f"line {number}: expected JSON, {error.msg}") from error


def _read(content: object) -> Event[Any]:
    # As bytes once more: that is how `parse` bounds what comes from outside.
    return Event.parse(orjson.dumps(content))


def _made(system: System, event_type: str, content: object, source: str) -> Event[Any]:
    handler = system.handler_at(event_type)
    if handler is None:
        known = ", ".join(system.addresses) or "none"
        raise Mistake(f"expected a type that a handler takes ({known}), got {event_type!r}")
    contract = handler.contract.version("latest")
    kind = contract.accepted.type
    # Not by the contract's own reader, which wants what the protocol adds beside the payload.
    payload = content if kind is None else Payload.of(kind).read(content)
    if isinstance(payload, Issues):
        raise Mistake(f"{contract.dataschema} does not take it: {payload}")
    event: Event[Any] = contract.accepts(payload, source=source)
    return event


def _named(path: str) -> str:
    return "the standard input" if path == "-" else path
