"""Convert: payload classes from and to plain JSON data, by cattrs with hooks of our own."""

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import cache, lru_cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_origin

import attrs
from cattrs import AttributeValidationNote, BaseValidationError, Converter, IterableValidationNote

from arvo.core.payloads.fields import CLASSES_MAX, bare, fields_of, title
from arvo.core.payloads.scalars import LEAVES
from arvo.core.payloads.structure import (
    UnreadableError,
    as_it_is,
    choice_reader,
    leaf_reader,
    read_int,
    union_reader,
)
from arvo.core.payloads.type_schema import ARRAYS, OBJECTS, origin
from arvo.core.payloads.unstructure import (
    array_writer,
    choice_writer,
    class_writer,
    leaf_writer,
    map_writer,
    union_writer,
    write_float,
)
from arvo.core.violations.issue import Issue, Issues, below, one_line, short


class _Converter(Converter):
    def get_unstructure_hook(self, type: Any, cache_result: bool = True) -> Any:  # noqa: A002  # cattrs' signature
        # cattrs goes by base class first, where a StrEnum is a str, and takes a NewType for
        # whatever its value is.
        kind, _ = bare(type)
        if _is_choice(kind):
            return choice_writer(kind)
        return super().get_unstructure_hook(kind, cache_result)


@cache
def converter() -> Converter:
    """The one converter. It remembers a class's functions when it first meets the class."""
    made = _Converter(detailed_validation=True, use_alias=True)
    made.register_structure_hook(int, read_int)
    made.register_structure_hook(NoneType, as_it_is)
    made.register_unstructure_hook(float, write_float)
    for kind, leaf in LEAVES.items():
        made.register_structure_hook(kind, leaf_reader(leaf))
        made.register_unstructure_hook(kind, leaf_writer(kind, leaf))
    made.register_unstructure_hook_func(_is_any, lambda value: value)
    made.register_structure_hook_factory(_is_choice, choice_reader)
    made.register_structure_hook_factory(_is_union, union_reader)
    made.register_unstructure_hook_factory(_is_union, union_writer)
    made.register_unstructure_hook_factory(lambda kind: origin(kind) in ARRAYS, array_writer)
    made.register_unstructure_hook_factory(lambda kind: origin(kind) in OBJECTS, map_writer)
    made.register_unstructure_hook_factory(_is_class, class_writer)
    return made


@lru_cache(maxsize=CLASSES_MAX)
def writer(cls: Any) -> Callable[[Any], Any]:
    """Find the function that makes plain data of an instance, once for a class."""
    return converter().get_unstructure_hook(cls)


def structure(cls: type, data: Any, path: str) -> Any | Issues:
    """Make a *cls* of plain *data* that its schema allows, or say what its constructor refused."""
    try:
        return converter().structure(data, cls)
    except Exception as error:  # noqa: BLE001  # validators and converters of users raise anything
        return Issues.of(_told(error, cls, data, path))


def _told(error: BaseException, cls: Any, data: Any, path: str) -> Iterator[Issue]:
    """Walk cattrs' groups of errors down to what was raised, with the path to it."""
    if not isinstance(error, BaseValidationError):
        yield _issue(error, cls, data, path)
        return
    for each in error.exceptions:
        note = next((n for n in getattr(each, "__notes__", ()) if isinstance(n, _NOTES)), None)
        if note is None:
            yield from _told(each, error.cl, data, path)
        else:
            step = (
                note.index
                if isinstance(note, IterableValidationNote)
                else _wire(error.cl, note.name)
            )
            inner = _at(data, step)
            yield from _told(each, note.type, inner, below(path, step))


_NOTES = (IterableValidationNote, AttributeValidationNote)


def _issue(error: BaseException, cls: Any, data: Any, path: str) -> Issue:
    if isinstance(error, UnreadableError):
        return Issue(path, str(error), short(data))
    for part in error.args:
        # attrs' own validators tell which field they stand on.
        if isinstance(part, attrs.Attribute):
            wire = part.alias or part.name
            path, data = below(path, wire), _at(data, wire)
    reason = (
        error.args[0] if error.args and isinstance(error.args[0], str) else type(error).__name__
    )
    return Issue(path, f"a value that {title(cls)} accepts ({one_line(reason)})", short(data))


def _wire(cls: Any, name: str) -> str:
    return next((each.wire for each in fields_of(cls) if each.name == name), name)


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


def _is_class(kind: Any) -> bool:
    return isinstance(kind, type) and attrs.has(kind)


def _is_choice(kind: Any) -> bool:
    return get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, Enum))


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)
