"""Baggage: entries of W3C Baggage that travel with events, as extensions.

CloudEvents has no attribute for baggage, and its entries may be secret, so only those that are
named travel. They are attributes of no span.
"""

import re
from collections.abc import Iterable
from typing import Any, Final, Self, final

from attrs import frozen
from opentelemetry.baggage import get_all, set_baggage
from opentelemetry.context import Context

from arvo.core.events.event import Event
from arvo.core.trace_context import BAGGAGE
from arvo.core.violations.arguments import check_list
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated

# CloudEvents 1.0 §3.1: extension names should have 20 characters at most, of which `bg` are two.
_KEY: Final = re.compile(r"[a-z0-9]{1,18}", re.ASCII)
KEYS_MAX: Final = 8
# Of all values of an event.
BYTES_MAX: Final = 256

Entries = tuple[tuple[str, str], ...]


@final
@frozen
class Baggage:
    """The entries with these *keys*: `tenant` is the extension `bgtenant`."""

    keys: tuple[str, ...] = ()

    @classmethod
    def of(cls, keys: Iterable[str]) -> Self:
        """Check the keys; raises `Violated` for those that are no name of an extension."""
        if not isinstance(keys, str):
            check_list("baggage", keys, "keys", of="observe")
        named: tuple[object, ...] = (keys,) if isinstance(keys, str) else tuple(keys)
        for key in named:
            if not isinstance(key, str) or not _KEY.fullmatch(key):
                _refuse("1 to 18 lower-case letters and digits", short_repr(key))
        if len(named) > KEYS_MAX:
            _refuse(f"at most {KEYS_MAX} keys", f"{len(named)}")
        return cls(tuple(map(str, named)))

    def of_event(self, event: Event[Any]) -> Entries:
        """Return the entries that an event carries, as extensions."""
        if not self.keys or not event.extensions:
            return ()
        return self._bounded((key, event.extensions.get(BAGGAGE + key)) for key in self.keys)

    def of_context(self, context: Context) -> Entries:
        """Return the entries of a context, as extensions."""
        if not self.keys:
            return ()
        held = get_all(context)
        return self._bounded((key, held.get(key)) for key in self.keys)

    def _bounded(self, entries: Iterable[tuple[str, object]]) -> Entries:
        """Leave out what is no text, or would be too much."""
        taken, size = list[tuple[str, str]](), 0
        for key, value in entries:
            if not isinstance(value, str) or not value.isprintable():
                continue
            size += len(value.encode())
            if size > BYTES_MAX:
                break
            taken.append((BAGGAGE + key, value))
        return tuple(taken)


def with_baggage(context: Context, entries: Entries) -> Context:
    """Return a context that holds entries, from which a client of HTTP injects them."""
    for name, value in entries:
        context = set_baggage(name.removeprefix(BAGGAGE), value, context)
    return context


def _refuse(expected: str, got: str) -> None:
    raise Violated(ConfigViolation("invalid keys of baggage", Issue("baggage", expected, got)))
