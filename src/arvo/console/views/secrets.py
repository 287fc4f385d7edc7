"""Secrets: which data a page may show, by the contracts of the system that the console has."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, final
from urllib.parse import quote

import orjson
from attrs import define, field

from arvo.core.events.event import Event
from arvo.core.events.protocol import is_fork
from arvo.core.fork import ForkContent
from arvo.core.payloads.secrets import HIDDEN, has_secrets, hide_secrets, secret_texts
from arvo.core.record import Record
from arvo.core.violations.issue import GOT_CHARACTERS_MAX, Issue
from arvo.core.violations.violation import Violated
from arvo.engine.system.schemas import Schemas
from arvo.printable import printable

# A shorter secret is hidden where its field is, and not wherever its few characters occur.
SCRUBBED_CHARACTERS_MIN: Final = 4
# Messages cut long values at the end or in the middle: so much of one is hidden as the whole is.
CUT_CHARACTERS_MIN: Final = 6
# The texts that one page looks for: those of the events on it, which a page limits.
SCRUBBED_TEXTS_MAX: Final = 10_000


@final
@define
class Redaction:
    """Hides the data that a reader of one page may not see.

    *shows_data*: whether the reader may see data at all; otherwise its shape alone is shown. The
    data of an event whose contract the console does not have may hold secrets that it does not
    know of, so its shape is shown, too. A secret that was met by its contract is hidden in every
    other text of the page as well: a handler may have copied it.
    """

    schemas: Schemas
    shows_data: bool
    _texts: set[str] = field(factory=set, init=False)
    # The forms of the secrets by a part that each text with one has: a pattern of thousands of
    # secrets takes a second for a line.
    _forms: dict[str, set[str]] = field(factory=dict, init=False)

    def meet(self, events: Iterable[Event[Any] | None]) -> None:
        """Learn the secrets of events, before anything of the page is shown."""
        for event in events:
            if event is not None:
                self.learn(self.secrets_of(event))

    def secrets_of(self, event: Event[Any]) -> Iterator[str]:
        """Yield the texts in an event that its contract marks as secret."""
        # The events before a fork are in the history of another workflow.
        for each in _fork_events(event) if is_fork(event.type) else (event,):
            for schema in self.schemas.of_event(each):
                yield from secret_texts(schema, each.raw)

    def event_data(self, event: Event[Any]) -> Any:
        """Return the data of an event as it may be shown."""
        self.meet((event,))
        if is_fork(event.type) or (self.shows_data and self.is_known(event.type)):
            return self.schemas.hide_secrets(event)
        return shape(event.raw)

    def is_known(self, type_: str) -> bool:
        """Whether the console has a contract of events of this type."""
        return bool(self.schemas.by_type.get(type_))

    def may_have_secrets(self, type_: str) -> bool:
        """Whether `secrets_of` yields any of an event of this type."""
        versions = self.schemas.by_type.get(type_, {}).values()
        return is_fork(type_) or any(map(has_secrets, versions))

    def data(self, schema: Mapping[str, Any], data: Any) -> Any:
        """Return JSON data of *schema* as it may be shown."""
        self.learn(secret_texts(schema, data))
        return hide_secrets(schema, data) if self.shows_data else shape(data)

    def failure(self, record: Record) -> str:
        """Return why a workflow failed: its name alone where the message may quote a secret."""
        failure = record.failure
        if failure is None:
            return ""
        is_known = self.shows_data and record.handler in self.schemas.handlers
        return f"{failure.name}: {failure.message}" if is_known else failure.name

    def message(self, text: str, type_: str) -> str:
        """Return why an event of this type was refused: up to the first value, if its data may not
        be shown.
        """
        if self.shows_data and self.is_known(type_):
            return text
        for mark in ("'", '"', " got "):
            text = text.partition(mark)[0]
        return text.rstrip(" :;,(")

    def issues(self, issues: Iterable[Issue], event: Event[Any] | None) -> tuple[Issue, ...]:
        """Return what does not fit in *event*, without the values if its data may not be shown.

        Without an event: in a state or a turn, which the system of the console knows.
        """
        if self.shows_data and (event is None or self.is_known(event.type)):
            return tuple(issues)
        return tuple(
            Issue(it.path, HIDDEN if event is None else it.expected, HIDDEN) for it in issues
        )

    def scrub(self, text: str) -> str:
        """Return a text without the secrets that were met.

        One in a text of more than `SCRUBBED_TEXTS_MAX` secrets is not looked for.
        """
        if not self._forms:
            return text
        ends = range(SCRUBBED_CHARACTERS_MIN, len(text) + 1)
        parts = {text[end - SCRUBBED_CHARACTERS_MIN : end] for end in ends}
        found = {form for part in parts for form in self._forms.get(part, ())}
        if not found:
            return text
        patterns = _patterns(sorted(found, key=lambda form: (-len(form), form)), text)
        # Many secrets may begin alike, as tokens do: one pattern hides what is left of each.
        joined = "|".join(dict.fromkeys(patterns))
        return re.sub(joined, HIDDEN, text) if joined else text

    def learn(self, texts: Iterable[str]) -> None:
        """Look for these texts in every other text of the page."""
        fresh = {text for text in texts if len(text) >= SCRUBBED_CHARACTERS_MIN} - self._texts
        if fresh and len(self._texts) < SCRUBBED_TEXTS_MAX:
            self._texts |= fresh
            for form in (form for secret in fresh for form in forms_of(secret)):
                for part in (form[:SCRUBBED_CHARACTERS_MIN], form[-SCRUBBED_CHARACTERS_MIN:]):
                    self._forms.setdefault(part, set()).add(form)


def _fork_events(event: Event[Any]) -> tuple[Event[Any], ...]:
    """Return the events of the first workflow that a fork holds."""
    try:
        content = ForkContent.unpack(str(event.raw.get("content")))
    except Violated:
        return ()
    begin = () if content.begin is None else (content.begin,)
    return (*begin, *content.requests, *content.record.replies.events)


def shape(data: Any) -> Any:
    """Return the types of the leaves of JSON data in place of their values.

    >>> shape({"name": "Ann", "lines": [1, True, None]})
    {'name': 'string', 'lines': ['number', 'boolean', None]}
    """
    match data:
        case Mapping():
            return {key: shape(value) for key, value in data.items()}
        case list() | tuple():
            return [shape(value) for value in data]
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case _:
            return None


def forms_of(secret: str) -> tuple[str, ...]:
    """Return a secret as it may stand in a text: plain, in JSON, escaped, in an address."""
    quoted = orjson.dumps(secret.encode("utf-8", "replace").decode()).decode()[1:-1]
    python = repr(secret)[1:-1]
    return (secret, quoted, python, printable(secret), quote(secret, safe="", errors="replace"))


def _patterns(forms: Sequence[str], text: str) -> Iterator[str]:
    """Yield patterns of the forms that *text* has, longest first, and then of what a message leaves
    of a long one: its beginning, and its end.
    """
    yield from (re.escape(form) for form in forms if form in text)
    for form in forms:
        if len(form) >= 2 * CUT_CHARACTERS_MIN:
            head, tail = form[:CUT_CHARACTERS_MIN], form[-CUT_CHARACTERS_MIN:]
            if head in text:
                yield rf"{re.escape(head)}\S{{0,{GOT_CHARACTERS_MAX}}}"
            if tail in text:
                yield rf"\S{{0,{GOT_CHARACTERS_MAX}}}{re.escape(tail)}"
