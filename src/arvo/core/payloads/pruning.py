"""Pruning: drops unknown keys and applies defaults, by an imported JSON Schema."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, TypeAlias
from urllib.parse import unquote

from attrs import Factory, frozen
from jsonschema_rs import Validator

from arvo.core.payloads.frozen_json import FrozenDict, FrozenList
from arvo.core.payloads.validation import compile_validator, moved

Schema: TypeAlias = dict[str, Any]

_TYPES: dict[type, tuple[str, ...]] = {
    dict: ("object",),
    FrozenDict: ("object",),
    list: ("array",),
    FrozenList: ("array",),
    str: ("string",),
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number", "integer"),
    type(None): ("null",),
}
_OPEN: Schema = {"additionalProperties": True}
_BY_VALUE = ("anyOf", "oneOf", "dependentSchemas")


@frozen
class SchemaView:
    """The combination of all schemas that apply to one value."""

    parts: tuple[Schema, ...]
    keys: dict[str, tuple[Any, ...]]
    """The schemas of each known key."""
    others: tuple[Any, ...]
    """The schemas of any other key."""
    retains_others: bool
    """Whether other keys stay."""
    defaults: dict[str, Any]


@frozen(eq=False)
class Pruner:
    """Prunes by the schema *root*, following its ``$ref``, ``allOf``, ``anyOf`` and so on.

    A key is known if it is in ``properties`` or ``required``. Other keys stay if the object has no
    ``properties`` at all, or has ``patternProperties`` or ``additionalProperties``. Of alternatives
    those apply whose types and constants fit the value, as in a union with a discriminator.
    """

    root: Schema
    takes_first: bool = False
    """Whether of alternatives the first one that the value fits applies, as in zod."""
    # Only for schemas without alternatives, so it has no more entries than the schema has parts.
    _views: dict[tuple[int, ...], SchemaView] = Factory(dict)
    _branches: dict[int, Validator] = Factory(dict)

    def apply_defaults(self, value: Any) -> Any:
        """Return a copy of *value* with defaults for the missing keys."""
        return self._fill((self.root,), value)

    def prune(self, value: Any) -> Any:
        """Return a copy of *value* without unknown keys."""
        return self._prune((self.root,), value)

    def _fill(self, schemas: tuple[Any, ...], value: Any) -> Any:
        if not isinstance(value, dict | list):
            return value
        view = self._view(schemas, value)
        if isinstance(value, list):
            return [self._fill(_items(view, i), item) for i, item in enumerate(value)]
        keys, others = view.keys, view.others
        filled = {key: self._fill(keys.get(key, others), item) for key, item in value.items()}
        for key, default in view.defaults.items():
            if key not in filled:
                # Unchanged: filling in the defaults of a default may never end.
                filled[key] = deepcopy(default)
        return filled

    def _prune(self, schemas: tuple[Any, ...], value: Any) -> Any:
        if not isinstance(value, dict | list):
            return value
        view = self._view(schemas, value)
        if isinstance(value, list):
            return [self._prune(_items(view, i), item) for i, item in enumerate(value)]
        keys, others = view.keys, view.others
        return {
            key: self._prune(keys.get(key, others), item)
            for key, item in value.items()
            if view.retains_others or key in keys
        }

    def _view(self, schemas: tuple[Any, ...], value: Any) -> SchemaView:
        ids = tuple(map(id, schemas))
        view = self._views.get(ids)
        if view is None:
            view = self._combine(self._parts(schemas, value))
            if not any(keyword in part for part in view.parts for keyword in _BY_VALUE):
                self._views[ids] = view
        return view

    def _combine(self, parts: tuple[Schema, ...]) -> SchemaView:
        keys: dict[str, tuple[Any, ...]] = {}
        defaults: dict[str, Any] = {}
        for part in parts:
            for key, schema in part.get("properties", {}).items():
                keys[key] = (*keys.get(key, ()), schema)
                for inner in self._parts((schema,), None):
                    if "default" in inner:
                        defaults.setdefault(key, inner["default"])
        for key in (key for part in parts for key in _required_keys(part)):
            keys.setdefault(key, ())
        additional = [part[keyword] for part in parts for keyword in _OTHERS if keyword in part]
        retains_others = any(schema is not False for schema in additional)
        retains_others = retains_others or not any("properties" in part for part in parts)
        others = () if any("patternProperties" in part for part in parts) else tuple(additional)
        return SchemaView(parts, keys, others, retains_others, defaults)

    def _parts(self, schemas: tuple[Any, ...], value: Any) -> tuple[Schema, ...]:
        seen: set[int] = set()
        return tuple(part for schema in schemas for part in self._flatten(schema, value, seen)[0])

    def _flatten(self, schema: Any, value: Any, seen: set[int]) -> tuple[list[Schema], bool]:
        """Return the schemas that apply to *value* itself, and whether *schema* may fit it."""
        if not isinstance(schema, dict):
            return [], schema is not False
        if id(schema) in seen:
            return [], True
        seen.add(id(schema))
        parts, fits = [schema], _fits(schema, value)
        for inner in self._conjuncts(schema, value):
            inner_parts, inner_fits = self._flatten(inner, value, seen)
            parts, fits = parts + inner_parts, fits and inner_fits
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                chosen = self._alternatives(schema[keyword], value)
                branches = [self._flatten(branch, value, seen) for branch in chosen]
                any_fits = any(branch_fits for _, branch_fits in branches)
                for branch_parts, branch_fits in branches:
                    parts += branch_parts if branch_fits or not any_fits else []
                fits = fits and any_fits
        for keyword in ("if", "then", "else"):
            parts += self._flatten(schema.get(keyword, True), value, seen)[0]
        return parts, fits

    def _alternatives(self, branches: list[Any], value: Any) -> list[Any]:
        if not self.takes_first or not isinstance(value, dict | list):
            return branches
        return next(([it] for it in branches if self._branch(it).is_valid(value)), branches)

    def _branch(self, schema: Any) -> Validator:
        if id(schema) not in self._branches:
            # The root is a part of the document, so that references into it keep their meaning.
            document = {"allOf": [moved(schema, _ROOT)], _ROOT[2:]: moved(self.root, _ROOT)}
            draft = {"$schema": self.root["$schema"]} if "$schema" in self.root else {}
            self._branches[id(schema)] = compile_validator(draft | document)
        return self._branches[id(schema)]

    def _conjuncts(self, schema: Schema, value: Any) -> Iterator[Any]:
        """Yield the schemas that always apply together with *schema*."""
        if "$ref" in schema:
            yield self._resolve(schema["$ref"])
        if "$dynamicRef" in schema or "$recursiveRef" in schema:
            yield _OPEN
        yield from schema.get("allOf", ())
        if isinstance(value, dict):
            for key, inner in schema.get("dependentSchemas", {}).items():
                if key in value:
                    yield inner

    def _resolve(self, ref: str) -> Any:
        if ref != "#" and not ref.startswith("#/"):
            return _OPEN  # an anchor or another document: its keys are unknown, so all stay
        target: Any = self.root
        for step in unquote(ref[2:]).split("/") if ref != "#" else ():
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, list) and key.isdecimal() and int(key) < len(target):
                target = target[int(key)]
            elif isinstance(target, dict) and key in target:
                target = target[key]
            else:
                return _OPEN
        return target


_ROOT = "#/the root"
_OTHERS = ("patternProperties", "additionalProperties", "unevaluatedProperties")


def _required_keys(part: Schema) -> Iterator[str]:
    yield from part.get("required", ())
    for names in part.get("dependentRequired", {}).values():
        yield from names


def _items(view: SchemaView, index: int) -> tuple[Any, ...]:
    schemas = []
    for part in view.parts:
        # Before 2020-12 a list in items had the meaning of prefixItems.
        prefix, rest = part.get("prefixItems"), part.get("items")
        if isinstance(rest, list):
            prefix, rest = rest, part.get("additionalItems")
        if isinstance(prefix, list) and index < len(prefix):
            schemas.append(prefix[index])
        elif isinstance(rest, dict):
            schemas.append(rest)
    return tuple(schemas)


def _fits(schema: Schema, value: Any) -> bool:
    types = schema.get("type")
    if types is not None:
        allowed = [types] if isinstance(types, str) else types
        if not any(name in allowed for name in _TYPES.get(type(value), ())):
            return False
    if not _is_allowed(schema, value):
        return False
    if not isinstance(value, dict):
        return True
    properties = schema.get("properties", {})
    missing = [key for key in schema.get("required", ()) if key not in value]
    return all("default" in (properties.get(key) or ()) for key in missing) and all(
        _is_allowed(inner, value[key]) for key, inner in properties.items() if key in value
    )


def _is_allowed(schema: Any, value: Any) -> bool:
    if not isinstance(schema, dict):
        return True
    if "const" in schema:
        return bool(schema["const"] == value)
    return "enum" not in schema or value in schema["enum"]
