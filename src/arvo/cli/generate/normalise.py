"""Normalise: a schema of zod in the words that classes have."""

from collections.abc import Mapping
from typing import Any

from attrs import Factory, define


def normalise(schema: Mapping[str, Any], title: str) -> dict[str, Any]:
    """Return an equivalent schema whose objects are definitions of their own.

    Their names are made of *title* and of the keys that lead to them.
    """
    definitions = _Definitions({title})
    own = definitions.inside(schema, title)
    made = {"title": title} | {key: it for key, it in own.items() if key != "$schema"}
    return made | ({"$defs": definitions.found} if definitions.found else {})


@define
class _Definitions:
    _names: set[str]
    found: dict[str, Any] = Factory(dict)

    def of(self, schema: Any, title: str) -> Any:
        """Return a part of the schema; one that is an object with keys becomes a reference."""
        if not isinstance(schema, dict):
            return schema
        made = self.inside(schema, title)
        if made.get("type") != "object" or not made.get("properties"):
            return made
        default = {"default": made.pop("default")} if "default" in made else {}
        names = (title, *(f"{title}{number}" for number in range(2, 1_000)))
        name = next(it for it in names if it not in self._names)
        self._names.add(name)
        self.found[name] = made
        return {"$ref": f"#/$defs/{name}"} | default

    def inside(self, schema: Mapping[str, Any], title: str) -> dict[str, Any]:
        made = dict(schema)
        if isinstance(made.get("properties"), dict):
            made["properties"] = {
                key: self.of(it, title + _capitalised(key))
                for key, it in made["properties"].items()
            }
            if not made.get("required", True):
                del made["required"]
        self._make_items(made, title)
        for key in ("items", "additionalProperties"):
            if isinstance(made.get(key), dict):
                made[key] = self.of(made[key], f"{title}Item")
        if made.get("propertyNames") == {"type": "string"}:
            del made["propertyNames"]
        if isinstance(made.get("anyOf"), list):
            made["anyOf"] = [self.of(it, f"{title}Option") for it in made["anyOf"]]
        return _alternatives(_with_patterns(made))

    def _make_items(self, made: dict[str, Any], title: str) -> None:
        """Write the items of a tuple as the later drafts do."""
        if isinstance(made.get("items"), list):
            made["prefixItems"], made["items"] = made["items"], made.pop("additionalItems", False)
        if "prefixItems" in made:
            made["prefixItems"] = [self.of(it, f"{title}Item") for it in made["prefixItems"]]
            if made.get("items") is False:
                made["minItems"] = len(made["prefixItems"])
                made.pop("maxItems", None)


def _with_patterns(made: dict[str, Any]) -> dict[str, Any]:
    """Write several patterns as one, and the others as conditions."""
    if "pattern" in made:
        made.pop("contentEncoding", None)
    conditions = made.get("allOf")
    if conditions and all(isinstance(it, dict) and it.keys() == {"pattern"} for it in conditions):
        patterns = [*([made["pattern"]] if "pattern" in made else ()), *conditions]
        first, *others = [it if isinstance(it, str) else it["pattern"] for it in patterns]
        made = {key: it for key, it in made.items() if key != "allOf"} | {"pattern": first}
        if others:
            made["allOf"] = [{"pattern": pattern} for pattern in others]
    return made


def _alternatives(schema: dict[str, Any]) -> dict[str, Any]:
    """Write several types as alternatives, and a constant with the type that it has."""
    types = schema.get("type")
    if types == "number" and type(schema.get("const")) is int:
        return schema | {"type": "integer"}
    if not isinstance(types, list) or "enum" in schema:
        return schema
    rest = {key: it for key, it in schema.items() if key not in ("type", "default")}
    default = {"default": schema["default"]} if "default" in schema else {}
    options = [{"type": it} | (rest if it != "null" else {}) for it in types]
    return {"anyOf": options} | default


def _capitalised(key: str) -> str:
    words = "".join(it if it.isalnum() else " " for it in key).split()
    return "".join(word[0].upper() + word[1:] for word in words)
