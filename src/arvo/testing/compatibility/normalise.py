"""Normalise: the parts of a JSON Schema in a form that can be compared."""

from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote

from arvo.testing.schemas.json_schema import ANNOTATIONS, merge

# A mapping, True or False.
Schema: TypeAlias = Any


def reference(schema: Schema) -> str:
    """Return the `$ref` of *schema*, or an empty string."""
    return schema.get("$ref", "") if isinstance(schema, Mapping) else ""


def resolve_reference(root: Schema, ref: str) -> Any:
    """Return the schema that *ref*, a JSON Pointer into the document *root*, refers to."""
    target: Any = root
    for step in unquote(ref.removeprefix("#")).split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        target = target[int(key)] if isinstance(target, list) else target[key]
    return target


def definitions(root: Schema) -> Mapping[str, Any]:
    """Return the named schemas of a document."""
    return {key: root[key] for key in ("$defs", "definitions") if key in root}


def flatten(schema: Schema, root: Schema) -> Schema:
    """Merge the target of a reference and the parts of `allOf` into one schema."""
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        target = flatten(resolve_reference(root, schema["$ref"]), root)
        return flatten(merge(target, rest), root) if isinstance(target, Mapping) else target
    flat = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema.get("allOf", ()):
        flat_part = flatten(part, root)
        if flat_part is False:
            return False
        flat = {**merge(flat, flat_part)} if isinstance(flat_part, Mapping) else flat
    return False if flat.get("type") == [] else flat


def without_annotations(schema: Schema) -> Any:
    """Return the keywords that restrict a value; True has none."""
    if not isinstance(schema, Mapping):
        return {} if schema else schema
    return {
        key: value for key, value in schema.items() if key not in ANNOTATIONS and key != "$defs"
    }


def allowed_values(schema: Mapping[str, Any]) -> list[Any] | None:
    """Return the values of `const` or `enum`, or None if *schema* has neither."""
    if "const" in schema:
        return [schema["const"]]
    return list(schema["enum"]) if "enum" in schema else None


def branches_of(schema: Mapping[str, Any]) -> list[Any]:
    """Return the alternatives of `anyOf`, `oneOf` or several types; empty if there are none."""
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            dropped = (keyword, *ANNOTATIONS)
            rest = {key: value for key, value in schema.items() if key not in dropped}
            return [_combine(branch, rest) for branch in schema[keyword]]
    if isinstance(schema.get("type"), list) and len(schema["type"]) > 1:
        return [{**schema, "type": name} for name in schema["type"]]
    return []


def _combine(branch: Any, rest: Mapping[str, Any]) -> Any:
    if not isinstance(branch, Mapping) or not rest:
        return branch
    return {"allOf": [branch, rest]}
