"""Secrets: hides the values that a JSON Schema marks as secret, for pages that people read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

HIDDEN: Final = "•••"


def hide_secrets(schema: Mapping[str, Any], data: Any) -> Any:
    """Return JSON *data* with `HIDDEN` in place of each value that *schema* marks as secret.

    A value is secret if any part of the schema that may apply to it is ``writeOnly``, also an
    alternative that it does not fit. Null is shown: it holds nothing.

    >>> hide_secrets({"properties": {"pin": {"writeOnly": True}}}, {"pin": "1234", "name": "Ann"})
    {'pin': '•••', 'name': 'Ann'}
    """
    return _hide((schema,), schema, data)


def secret_texts(schema: Mapping[str, Any], data: Any) -> frozenset[str]:
    """Return the strings and numbers in the secret values of JSON *data*, as text.

    >>> secret_texts({"properties": {"pin": {"writeOnly": True}}}, {"pin": "1234", "name": "Ann"})
    frozenset({'1234'})
    """
    return frozenset(_texts((schema,), schema, data))


def has_secrets(schema: Any) -> bool:
    """Return whether a part of *schema* is marked as secret, so that `secret_texts` may find any.

    >>> has_secrets({"properties": {"pin": {"writeOnly": True}}}), has_secrets({"type": "string"})
    (True, False)
    """
    match schema:
        case Mapping():
            return _is_secret((schema,)) or any(map(has_secrets, schema.values()))
        case list() | tuple():
            return any(map(has_secrets, schema))
        case _:
            return False


def is_secret_property(schema: Mapping[str, Any], key: str) -> bool:
    """Return whether *schema* marks the property *key* of an object as secret.

    >>> is_secret_property({"properties": {"pin": {"writeOnly": True}}}, "pin")
    True
    """
    parts = _property(tuple(_applied((schema,), schema)), key)
    return _is_secret(tuple(_applied(parts, schema)))


def _hide(parts: Sequence[Any], root: Mapping[str, Any], data: Any) -> Any:
    parts = tuple(_applied(parts, root))
    if data is not None and _is_secret(parts):
        return HIDDEN
    match data:
        case Mapping():
            return {key: _hide(_property(parts, key), root, value) for key, value in data.items()}
        case list() | tuple():
            return [_hide(_item(parts, at), root, value) for at, value in enumerate(data)]
        case _:
            return data


def _texts(parts: Sequence[Any], root: Mapping[str, Any], data: Any) -> Iterator[str]:
    parts = tuple(_applied(parts, root))
    if data is not None and _is_secret(parts):
        yield from _strings(data)
        return
    match data:
        case Mapping():
            for key, value in data.items():
                yield from _texts(_property(parts, key), root, value)
        case list() | tuple():
            for at, value in enumerate(data):
                yield from _texts(_item(parts, at), root, value)
        case _:
            pass


def _strings(data: Any) -> Iterator[str]:
    match data:
        case str():
            yield data
        case int() | float() if not isinstance(data, bool):
            yield str(data)
        case Mapping():
            for key, value in data.items():
                yield str(key)
                yield from _strings(value)
        case list() | tuple():
            for value in data:
                yield from _strings(value)
        case _:
            pass


def _is_secret(parts: Sequence[Mapping[str, Any]]) -> bool:
    return any(part.get("writeOnly") is True for part in parts)


def _applied(parts: Sequence[Any], root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the schemas that may apply to a value: *parts*, what they refer to, and alternatives.

    Each of them once: a schema may refer to itself, by any number of ways.
    """
    seen: set[int] = set()
    rest = list(parts)
    while rest:
        part = rest.pop()
        if not isinstance(part, Mapping) or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        rest += (resolve_reference(part.get("$ref"), root), part.get("then"), part.get("else"))
        for keyword in ("anyOf", "oneOf", "allOf"):
            listed = part.get(keyword)
            rest += listed if isinstance(listed, list | tuple) else ()


def resolve_reference(reference: object, root: Mapping[str, Any]) -> Any:
    """Return the part of a schema that a ``$ref`` names; None if it names none."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: Any = root
    for key in reference.removeprefix("#").split("/")[1:]:
        # JSON Pointer, RFC 6901 §4.
        name = key.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _property(parts: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    found: list[Any] = []
    for part in parts:
        properties = part.get("properties")
        if isinstance(properties, Mapping) and key in properties:
            found.append(properties[key])
            continue
        patterns = part.get("patternProperties")
        # Which of the patterns fits is for a validator to say; any of them may.
        found += patterns.values() if isinstance(patterns, Mapping) else ()
        found.append(part.get("additionalProperties"))
    return found


def _item(parts: Sequence[Mapping[str, Any]], at: int) -> list[Any]:
    found: list[Any] = []
    for part in parts:
        prefix, items = part.get("prefixItems"), part.get("items")
        # Up to draft 2019-09, `items` may be the list that is `prefixItems` today.
        before = prefix if isinstance(prefix, list) else items if isinstance(items, list) else []
        if at < len(before):
            found.append(before[at])
        else:
            found.append(part.get("additionalItems") if isinstance(items, list) else items)
    return found
