"""Converter: converts payload classes from and to JSON data, by cattrs with hooks of its own."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from types import NoneType, UnionType
from typing import Any, Union, get_origin

import attrs
from attrs import evolve
from cattrs import AttributeValidationNote, BaseValidationError, Converter, IterableValidationNote

from arvo.core.payloads.class_hooks import (
    RefusedError,
    class_structure_hook,
    class_unstructure_hook,
)
from arvo.core.payloads.hooks import (
    UnreadableError,
    array_unstructure_hook,
    choice_structure_hook,
    choice_unstructure_hook,
    mapping_unstructure_hook,
    pass_through,
    scalar_structure_hook,
    scalar_unstructure_hook,
    structure_int,
    union_structure_hook,
    union_unstructure_hook,
    unstructure_float,
)
from arvo.core.payloads.types.adapters import is_payload_class
from arvo.core.payloads.types.classes import CLASSES_MAX, type_name
from arvo.core.payloads.types.fields import fields_of, is_choice, strip_annotations
from arvo.core.payloads.types.scalars import SCALARS
from arvo.core.payloads.types.type_schema import ARRAY_TYPES, OBJECT_TYPES, origin_or_self
from arvo.core.violations.issue import Issue, Issues, join_path, one_line, short_repr


class _Converter(Converter):
    def get_unstructure_hook(self, type: Any, cache_result: bool = True) -> Any:  # noqa: A002  # cattrs' signature
        # cattrs looks at the base class first, for which a StrEnum is a str, and it unstructures a
        # NewType by the class of its value.
        kind, _ = strip_annotations(type)
        if is_choice(kind):
            return choice_unstructure_hook(kind)
        return super().get_unstructure_hook(kind, cache_result)


@cache
def converter(*, explains: bool = False) -> Converter:
    """Return the converter, which caches the hooks of each class at its first use.

    *explains*: whether it collects the errors of all fields, which takes three times as long.
    """
    result = _Converter(detailed_validation=explains, use_alias=True)
    result.register_structure_hook(int, structure_int)
    result.register_structure_hook(NoneType, pass_through)
    result.register_unstructure_hook(float, unstructure_float)
    for kind, scalar in SCALARS.items():
        result.register_structure_hook(kind, scalar_structure_hook(scalar))
        result.register_unstructure_hook(kind, scalar_unstructure_hook(kind, scalar))
    result.register_unstructure_hook_func(_is_any, lambda value: value)
    result.register_structure_hook_factory(is_choice, choice_structure_hook)
    result.register_structure_hook_factory(_is_union, union_structure_hook)
    result.register_unstructure_hook_factory(_is_union, union_unstructure_hook)
    result.register_unstructure_hook_factory(
        lambda kind: origin_or_self(kind) in ARRAY_TYPES, array_unstructure_hook
    )
    result.register_unstructure_hook_factory(
        lambda kind: origin_or_self(kind) in OBJECT_TYPES, mapping_unstructure_hook
    )
    result.register_structure_hook_factory(is_payload_class, class_structure_hook)
    result.register_unstructure_hook_factory(is_payload_class, class_unstructure_hook)
    return result


@lru_cache(maxsize=CLASSES_MAX)
def unstructure_hook(cls: Any) -> Callable[[Any], Any]:
    """Return the function that converts instances of exactly *cls* to JSON data."""
    return converter().get_unstructure_hook(cls)


@lru_cache(maxsize=CLASSES_MAX)
def _structure_hook(cls: Any) -> Callable[[Any, Any], Any]:
    return converter().get_structure_hook(cls)


def structure(cls: type, data: Any, path: str) -> Any | Issues:
    """Make a *cls* of valid JSON *data*; returns Issues if its constructor refuses the data."""
    try:
        return _structure_hook(cls)(data, cls)
    except Exception:  # noqa: BLE001, S110  # validators and converters of users raise anything
        pass
    try:
        return converter(explains=True).structure(data, cls)
    except Exception as error:  # noqa: BLE001  # once more, to explain it
        return Issues.of(_issues(error, cls, data, path))


def _issues(error: BaseException, cls: Any, data: Any, path: str) -> Iterator[Issue]:
    """Yield an issue for each error in cattrs' nested exception groups, with its path."""
    if isinstance(error, RefusedError):
        for issue in error.issues.items:
            yield evolve(issue, path=f"{path}{issue.path}")
        return
    if not isinstance(error, BaseValidationError):
        yield _issue(error, cls, data, path)
        return
    for inner in error.exceptions:
        note = next((n for n in getattr(inner, "__notes__", ()) if isinstance(n, _NOTES)), None)
        if note is None:
            yield from _issues(inner, error.cl, data, path)
        else:
            step = note.index if isinstance(note, IterableValidationNote) else note.name
            yield from _issues(inner, note.type, _at(data, step), join_path(path, step))


_NOTES = (IterableValidationNote, AttributeValidationNote)


def _issue(error: BaseException, cls: Any, data: Any, path: str) -> Issue:
    if isinstance(error, UnreadableError):
        return Issue(path, str(error), short_repr(data))
    for part in error.args:
        # The errors of attrs' own validators name their field.
        if isinstance(part, attrs.Attribute):
            wire = next((it.wire for it in fields_of(cls) if it.name == part.name), part.name)
            path, data = join_path(path, wire), _at(data, wire)
    reason = (
        error.args[0] if error.args and isinstance(error.args[0], str) else type(error).__name__
    )
    return Issue(
        path, f"a value that {type_name(cls)} accepts ({one_line(reason)})", short_repr(data)
    )


def _at(data: Any, step: str | int) -> Any:
    if isinstance(data, Mapping):
        return data.get(step)
    return (
        data[step]
        if isinstance(data, list) and isinstance(step, int) and step < len(data)
        else None
    )


def _is_any(kind: Any) -> bool:
    return kind is Any


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)
