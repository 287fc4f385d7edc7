"""Document: a JSON Schema in one form: draft 2020-12, with each reference resolved to a definition.

The validator checks what is drawn against the schema as its author wrote it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote, urldefrag, urljoin

from attrs import define, field, frozen

from arvo.testing.schemas.conditions import alternatives_of
from arvo.testing.schemas.json_schema import ALTERNATIVES, CONTAINS, Schema

# Relative references need a base, as RFC 3986 §5.1.4 describes.
_BASE: Final = "http://schema.invalid/"

_ONE: Final = frozenset(
    {"additionalProperties", "contains", "not", "if", "then", "else", "propertyNames"}
    | {"unevaluatedProperties", "unevaluatedItems", "additionalItems", "items"}
)
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
_MAPS: Final = frozenset(
    {"properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"}
)
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
# They have an effect on the document only.
_DROPPED: Final = frozenset(
    {"$id", "id", "$schema", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$vocabulary"}
    | {"$defs", "definitions", "dependencies", "additionalItems", *_REFERENCES}
)
_CONTAINS: Final = ("contains", "minContains", "maxContains")
_OLD_DRAFTS: Final = ("draft-03", "draft-04", "draft-06", "draft-07")


class UnknownReference(ValueError):
    """A reference to a schema that the document does not contain."""


@frozen
class Document:
    """A schema whose references are all of the form ``#/$defs/…``, and these definitions."""

    schema: Any
    definitions: Mapping[str, Any]


def to_document(root: Schema) -> Document:
    """Resolve the references of the schema *root*, by pointer, ``$id`` or anchor.

    Raises `UnknownReference`.
    """
    reader = _Reader(any(draft in str(root.get("$schema")) for draft in _OLD_DRAFTS))
    reader.index(root, _BASE)
    schema = reader.rewrite(root, _BASE)
    while reader.pending:
        name, target, base = reader.pending.pop()
        reader.definitions[name] = reader.rewrite(target, base)
    return Document(schema, reader.definitions)


@define
class _Reader:
    """Reads one document; *is_old* of a draft in which a reference has no siblings."""

    is_old: bool
    # The schemas that have an address of their own, and the base of each schema object.
    addresses: dict[str, Any] = field(factory=dict)
    bases: dict[int, str] = field(factory=dict)
    names: dict[int, str] = field(factory=dict)
    pending: list[tuple[str, Any, str]] = field(factory=list)
    definitions: dict[str, Any] = field(factory=dict)

    def index(self, schema: Any, base: str) -> None:
        """Find the addresses of *schema* and of the schemas inside."""
        if not isinstance(schema, Mapping):
            return
        base = _base_of(schema, base)
        self.bases[id(schema)] = base
        if base not in self.addresses:
            self.addresses[base] = schema
        own = schema.get("$id", schema.get("id"))
        if isinstance(own, str) and own.startswith("#"):
            self.addresses[base + own] = schema
        for keyword in ("$anchor", "$dynamicAnchor"):
            if keyword in schema:
                self.addresses.setdefault(f"{base}#{schema[keyword]}", schema)
        for inner in _inner_schemas(schema):
            self.index(inner, base)

    def rewrite(self, schema: Any, base: str) -> Any:
        """Return *schema* in the one form."""
        if not isinstance(schema, Mapping):
            return schema
        base = self.bases.get(id(schema), base)
        reference = next((schema[word] for word in _REFERENCES if word in schema), None)
        own: dict[str, Any] = {} if reference is None else {"$ref": self._refer(reference, base)}
        if reference is not None and self.is_old:
            return own
        for keyword, value in _modern(schema).items():
            if keyword in _DROPPED:
                continue
            if keyword in _MAPS:
                own[keyword] = {key: self.rewrite(item, base) for key, item in value.items()}
            elif keyword in _LISTS and isinstance(value, list):
                own[keyword] = [self.rewrite(item, base) for item in value]
            else:
                own[keyword] = self.rewrite(value, base) if keyword in _ONE else value
        return _with_alternatives(own)

    def _refer(self, reference: str, base: str) -> str:
        target, base = self._resolve(reference, base)
        name = self.names.get(id(target))
        if name is None:
            name = self.names[id(target)] = str(len(self.names))
            self.pending.append((name, target, base))
        return f"#/$defs/{name}"

    def _resolve(self, reference: str, base: str) -> tuple[Any, str]:
        # `urljoin` cannot join a fragment to a URN.
        whole = f"{base}{reference}" if reference.startswith("#") else urljoin(base, reference)
        address, fragment = urldefrag(whole)
        if whole in self.addresses:
            return self._with_base(self.addresses[whole], address)
        if address not in self.addresses or (fragment and not fragment.startswith("/")):
            raise UnknownReference(reference)
        target: Any = self.addresses[address]
        for step in unquote(fragment).split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            try:
                target = target[int(key)] if isinstance(target, list) else target[key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise UnknownReference(reference) from None
        return self._with_base(target, address)

    def _with_base(self, target: Any, address: str) -> tuple[Any, str]:
        return target, self.bases.get(id(target), address)


def _base_of(schema: Schema, base: str) -> str:
    own = schema.get("$id", schema.get("id"))
    if not isinstance(own, str) or own.startswith("#"):
        return base
    return urldefrag(urljoin(base, own))[0]


def _inner_schemas(schema: Schema) -> Iterator[Any]:
    for keyword, value in schema.items():
        if keyword in _MAPS and isinstance(value, Mapping):
            yield from value.values()
        elif keyword in _LISTS and isinstance(value, list):
            yield from value
        elif keyword in _ONE:
            yield value


def _modern(schema: Schema) -> dict[str, Any]:
    """Write the keywords of earlier drafts as those of 2020-12."""
    modern = dict(schema)
    if isinstance(schema.get("items"), list):
        modern["prefixItems"] = schema["items"]
        modern["items"] = schema.get("additionalItems", True)
    for bound in ("minimum", "maximum"):
        exclusive = f"exclusive{bound.title()}"
        if isinstance(schema.get(exclusive), bool):
            del modern[exclusive]
            if schema[exclusive] and bound in schema:
                modern[exclusive] = modern.pop(bound)
    for key, value in schema.get("dependencies", {}).items():
        word = "dependentRequired" if isinstance(value, list) else "dependentSchemas"
        modern[word] = {**modern.get(word, {}), key: value}
    return modern


def _with_alternatives(schema: dict[str, Any]) -> dict[str, Any]:
    alternatives = alternatives_of(schema)
    contains = [{key: schema[key] for key in _CONTAINS if key in schema}]
    return {
        **schema,
        **({ALTERNATIVES: alternatives} if alternatives else {}),
        **({CONTAINS: contains} if "contains" in schema else {}),
    }
