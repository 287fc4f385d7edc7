"""Form: how a Python type looks in JSON."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import Enum, Flag
from functools import partial
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin

import attrs
from annotated_types import DocInfo
from attrs import evolve, frozen

from arvo.core.payloads.constraint import Unsayable, keywords
from arvo.core.payloads.fields import PayloadError, bare, tag_of, title, wire_value
from arvo.core.payloads.scalars import LEAVES

TYPE_DEPTH_MAX = 32
"""How deep one annotation may nest. Beyond it stands a mistake, or a name that contains itself."""

ARRAYS = frozenset({list, tuple, set, frozenset, Sequence})
OBJECTS = frozenset({dict, Mapping})

_PRIMITIVES = {str: "string", bool: "boolean", int: "integer", float: "number", NoneType: "null"}


@frozen
class Form:
    """Its JSON Schema, which JSON types it may be, and whether it is a coded text like a date."""

    schema: dict[str, Any]
    kinds: frozenset[str]
    coded: bool = False


Ref: TypeAlias = Callable[[type], dict[str, Any]]


def form(kind: Any, where: str, ref: Ref, depth: int = 0) -> Form:
    """Say how *kind* looks in JSON; *ref* gives the schema that points to a class.

    *where* names class and field in errors. Raises PayloadError for what JSON Schema cannot say.
    """
    if depth > TYPE_DEPTH_MAX:
        raise PayloadError(
            f"{where}: its type nests deeper than {TYPE_DEPTH_MAX}: make a class of a part"
        )
    kind, markers = bare(kind)
    inner = partial(form, where=where, ref=ref, depth=depth + 1)
    found = _form(kind, where, ref, inner)
    for marker in markers:
        found = _marked(found, marker, where)
    return found


def _form(kind: Any, where: str, ref: Ref, inner: Callable[[Any], Form]) -> Form:
    above = origin(kind)
    if kind is Any:
        return Form({}, frozenset({"any"}))
    if not isinstance(kind, Hashable) or not isinstance(above, Hashable):
        raise PayloadError(f"{where}: {kind!r} is not a type")
    if kind in _PRIMITIVES:
        return Form({"type": _PRIMITIVES[kind]}, frozenset({_PRIMITIVES[kind]}))
    if kind in LEAVES:
        return Form(dict(LEAVES[kind].schema), frozenset({"string"}), coded=True)
    if above in (Union, UnionType):
        return _union(kind, where, inner)
    if above is Literal:
        return _choice(get_args(kind), kind, where)
    if above in ARRAYS:
        return _array(above, get_args(kind), inner)
    if above in OBJECTS:
        return _map(get_args(kind), where, inner)
    if isinstance(kind, type) and issubclass(kind, Enum) and not issubclass(kind, Flag):
        return _choice(tuple(kind), kind, where)
    if isinstance(kind, type) and attrs.has(kind):
        return Form(ref(kind), frozenset({"object"}))
    raise PayloadError(f"{where}: {_unsupported(kind)}")


def origin(kind: Any) -> Any:
    """Give ``list`` for ``list[int]``, and any other type as it is."""
    return get_origin(kind) or kind


def _union(kind: Any, where: str, inner: Callable[[Any], Form]) -> Form:
    members = flat(kind)
    forms = [inner(each) for each in members]
    kinds = [each for part in forms for each in part.kinds]
    classes = classes_in(members)
    clash = {
        each
        for each in kinds
        if kinds.count(each) > (max(1, len(classes)) if each == "object" else 1)
    }
    if clash or "any" in kinds:
        what = f"two of its types are {_WORDS[min(clash)]} in JSON" if clash else "Any is in it"
        raise PayloadError(
            f"{where}: {title(kind)}: {what}, so a reader cannot tell them apart: choose one"
        )
    schemas = [part.schema for part in forms]
    if len(classes) > 1:
        found = tag_of(classes)
        if found is None:
            names = " | ".join(each.__name__ for each in classes)
            raise PayloadError(
                f"{where}: {names}: a reader cannot tell these classes apart: give each a field "
                'of one name and a Literal of its own, such as kind: Literal["card"] = "card"'
            )
        # The tag has a default in Python, yet must be said here: without it every class would fit.
        schemas = [s | {"required": [found[0]]} if "$ref" in s else s for s in schemas]
    return Form({"anyOf": schemas}, frozenset(kinds), any(part.coded for part in forms))


def flat(kind: Any) -> tuple[Any, ...]:
    """List the types a union is of; unions inside count as its own."""
    members: tuple[Any, ...] = ()
    for each in get_args(kind):
        below, markers = bare(each)
        inside = get_origin(below) in (Union, UnionType) and not markers
        members += flat(below) if inside else (each,)
    return members


def classes_in(members: tuple[Any, ...]) -> tuple[type, ...]:
    """Pick the attrs classes among the *members* of a union."""
    below = (bare(each)[0] for each in members)
    return tuple(each for each in below if isinstance(each, type) and attrs.has(each))


def _choice(values: tuple[Any, ...], kind: Any, where: str) -> Form:
    said = [wire_value(each) for each in values]
    kinds = {_PRIMITIVES.get(type(each), "") for each in said}
    if not kinds <= {"string", "integer", "boolean", "null"} or not said:
        raise PayloadError(
            f"{where}: {title(kind)}: its values must be str, int, bool or None: list such ones"
        )
    word: dict[str, Any] = {"const": said[0]} if len(said) == 1 else {"enum": said}
    if len(kinds) == 1:
        word = {"type": min(kinds)} | word
    return Form(word, frozenset(kinds))


def _array(above: Any, items: tuple[Any, ...], inner: Callable[[Any], Form]) -> Form:
    schema: dict[str, Any] = {"type": "array"}
    if above is tuple and items and items[-1] is not ...:
        parts = [inner(each).schema for each in items if each != ()]
        schema |= {"prefixItems": parts, "items": False, "minItems": len(parts)}
        schema = schema if parts else {"type": "array", "maxItems": 0}
    elif items:
        schema["items"] = inner(items[0]).schema
    if above in (set, frozenset):
        schema["uniqueItems"] = True
    return Form(schema, frozenset({"array"}))


def _map(items: tuple[Any, ...], where: str, inner: Callable[[Any], Form]) -> Form:
    key, value = items or (str, Any)
    keys = inner(key)
    if keys.kinds != {"string"}:
        raise PayloadError(f"{where}: its keys are {title(key)}, and JSON keys are text: use str")
    schema: dict[str, Any] = {"type": "object", "additionalProperties": inner(value).schema}
    if keys.schema != {"type": "string"}:
        schema["propertyNames"] = keys.schema
    return Form(schema, frozenset({"object"}))


def _marked(found: Form, marker: object, where: str) -> Form:
    if isinstance(marker, DocInfo):
        return evolve(found, schema=found.schema | {"description": marker.documentation})
    schema = dict(found.schema)
    try:
        # A coded text (a Decimal, a date) is no string to its author, so nothing bounds it as one.
        for word, value in keywords(
            marker, found.kinds - {"string"} if found.coded else found.kinds
        ):
            if word in schema:
                schema["allOf"] = [*schema.get("allOf", []), {word: value}]
            else:
                schema[word] = value
    except Unsayable as error:
        raise PayloadError(f"{where}: {error}") from None
    return evolve(found, schema=schema)


def _unsupported(kind: Any) -> str:
    if isinstance(kind, TypeVar):
        return f"the type variable {kind} stands for no type: name one in a class of its own"
    known = "str, int, float, bool, None, Any, " + ", ".join(each.__name__ for each in LEAVES)
    return (
        f"{title(kind)} has no agreed form in JSON: use {known}, an Enum, a Literal, "
        "list, tuple, set, frozenset, Sequence, dict or Mapping of these, or an attrs.frozen class"
    )


_WORDS = {
    "string": "strings",
    "integer": "whole numbers",
    "number": "numbers",
    "boolean": "booleans",
    "array": "arrays",
    "object": "objects",
    "null": "null",
}
