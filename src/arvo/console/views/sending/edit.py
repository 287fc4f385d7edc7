"""Edit: the form by which a person mends the data of a dead letter, and redrives it.

A secret stays on the server: the form has a mark in its place, and a mark that is sent back
unchanged stands for the value that it hides.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, final

import orjson
from attrs import evolve, frozen

from arvo.console.views.data import INLINE_BYTES_MAX, Block
from arvo.console.views.secrets import Redaction
from arvo.console.views.sending.form import names_field, type_text
from arvo.core.events.event import Event
from arvo.core.payloads.secrets import HIDDEN
from arvo.core.violations.issue import Issue, Issues, join_path, short_repr
from arvo.printable import printable_json


@final
@frozen
class FieldCheck:
    """A field of an event's contract, its *type* in words, and why its value does not fit."""

    name: str
    type: str
    is_required: bool
    issues: tuple[Issue, ...]


@final
@frozen(kw_only=True)
class EditView:
    """The form. *text*: the data as JSON. *others*: the issues that are of no field.

    *has_secrets*: whether the text has marks in place of secrets. *fits*: whether an
    edited text was checked, and has no issues.
    """

    id: str
    text: Block
    fields: tuple[FieldCheck, ...]
    others: tuple[Issue, ...]
    reason: str
    has_secrets: bool
    fits: bool


def show_edit(
    id_: str,
    event: Event[Any],
    redaction: Redaction,
    issues: Sequence[Issue],
    *,
    text: str | None = None,
    reason: str = "",
) -> EditView:
    """Return the form of the dead letter with this id: with its own data, or an edited *text*."""
    shown = orjson.dumps(editable(event, redaction), option=orjson.OPT_INDENT_2).decode()
    fields = check_fields(event, redaction, issues)
    names = [it.name for it in fields]
    return EditView(
        id=id_,
        text=Block(_visible(shown) if text is None else text),
        fields=fields,
        others=tuple(it for it in issues if not any(names_field(it.path, name) for name in names)),
        reason=reason,
        has_secrets=HIDDEN in shown,
        fits=text is not None and not issues,
    )


def _visible(text: str) -> str:
    # As JSON escapes them: the form comes back, and its reader must get the same characters.
    return "\n".join(map(printable_json, text.split("\n")))


def why_not_editable(event: Event[Any], redaction: Redaction) -> str | None:
    """Return why no page can edit the data of an event; None if one can."""
    if not redaction.shows_data:
        return "You may not see its data."
    if not redaction.is_known(event.type):
        return "The console does not have the contract of this event, so any field may be secret."
    text = orjson.dumps(editable(event, redaction), option=orjson.OPT_INDENT_2).decode()
    if len(text) > INLINE_BYTES_MAX:
        return "Its data are too large for a page: use `arvo dead-letters redrive ID --data …`."
    if redaction.scrub(text) != text:
        return "A secret is part of the name of a field."
    return None


def check_fields(
    event: Event[Any], redaction: Redaction, issues: Sequence[Issue]
) -> tuple[FieldCheck, ...]:
    """Return the fields of an event's contract, each with its issues."""
    schemas, shown = redaction.schemas.of_event(event), redaction.event_data(event)
    properties = schemas[0].get("properties") if schemas else None
    checks = []
    for name, part in properties.items() if isinstance(properties, Mapping) else ():
        within = [it for it in issues if names_field(it.path, name)]
        if isinstance(shown, Mapping) and shown.get(name) == HIDDEN:
            # Also a secret that is too short to be looked for in texts.
            within = [evolve(it, got=HIDDEN) for it in within]
        is_required = name in schemas[0].get("required", ())
        kind = type_text(part) if isinstance(part, Mapping) else "any"
        checks.append(FieldCheck(name, kind, is_required, tuple(within)))
    return tuple(checks)


def editable(event: Event[Any], redaction: Redaction) -> Any:
    """Return the data of an event with marks in place of secrets, also where they were copied."""
    return _mark(redaction.event_data(event), redaction)


def _mark(data: Any, redaction: Redaction) -> Any:
    match data:
        case Mapping():
            return {key: _mark(value, redaction) for key, value in data.items()}
        case list() | tuple():
            return [_mark(value, redaction) for value in data]
        case str():
            return redaction.scrub(data)
        case int() | float() if not isinstance(data, bool):
            return data if redaction.scrub(str(data)) == str(data) else HIDDEN
        case _:
            return data


def restore(shown: Any, edited: Any, original: Any) -> Any | Issues:
    """Return *edited* with the *original* value of each text with a mark that is as it was *shown*.

    A mark elsewhere stands for no value: it was moved, or the text around it was changed.

    >>> restore({"pin": "•••", "n": 1}, {"pin": "•••", "n": 2}, {"pin": "1234", "n": 1})
    {'pin': '1234', 'n': 2}
    """
    issues = list(_moved_marks("data", shown, edited))
    return Issues.of(issues) if issues else _restore(shown, edited, original)


def _restore(shown: Any, edited: Any, original: Any) -> Any:
    match shown, edited:
        case Mapping(), Mapping():
            return {
                key: _restore(shown[key], value, original[key]) if key in shown else value
                for key, value in edited.items()
            }
        case list(), list() if len(shown) == len(edited):
            return [_restore(*values) for values in zip(shown, edited, original, strict=True)]
        case str(), str() if HIDDEN in shown and shown == edited:
            return original
        case _:
            return edited


def _moved_marks(path: str, shown: Any, edited: Any) -> Iterator[Issue]:
    match shown, edited:
        case Mapping(), Mapping():
            for key, value in edited.items():
                yield from _moved_marks(join_path(path, key), shown.get(key), value)
        case list(), list() if len(shown) == len(edited):
            for at, (before, after) in enumerate(zip(shown, edited, strict=True)):
                yield from _moved_marks(join_path(path, at), before, after)
        case str(), str() if shown == edited:
            pass
        case _:
            yield from _marks(path, edited)


def _marks(path: str, edited: Any) -> Iterator[Issue]:
    match edited:
        case Mapping():
            for key, value in edited.items():
                yield from _marks(join_path(path, key), value)
        case list():
            for at, value in enumerate(edited):
                yield from _marks(join_path(path, at), value)
        case str() if HIDDEN in edited:
            yield Issue(
                path, f"no {HIDDEN}, which hides a value only in its place", short_repr(edited)
            )
        case _:
            pass
