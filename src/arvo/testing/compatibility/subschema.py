"""Subschema: decide whether one JSON Schema accepts every value that another one allows."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import define, field

from arvo.core.payloads.validation import compile_validator
from arvo.core.violations.issue import join_path
from arvo.testing.compatibility.bounds import compare_bounds
from arvo.testing.compatibility.gap import Gap, describe, keyword_gap
from arvo.testing.compatibility.normalise import (
    Schema,
    allowed_values,
    branches_of,
    definitions,
    flatten,
    reference,
    resolve_reference,
    without_annotations,
)
from arvo.testing.schemas.json_schema import ANNOTATIONS, json_types

# Keywords that are too complex to compare: both schemas must have the same value.
_INCOMPARABLE: Final = (
    *("pattern", "format", "propertyNames", "patternProperties", "not", "if", "then", "else"),
    *("contains", "dependentRequired", "dependentSchemas", "unevaluatedProperties"),
    *("unevaluatedItems", "$dynamicRef"),
)


def gaps(sent: Schema, accepted: Schema, path: str) -> Iterator[Gap]:
    """Yield the values that *sent* allows and *accepted* refuses; nothing if there are none.

    A receiver drops unknown properties and fills in defaults, so a property that only one schema
    declares is no gap. Keywords that cannot be compared must be equal.
    """
    yield from _Comparison(sent, accepted).compare(sent, accepted, path)


@define
class _Comparison:
    """Compares schemas of two documents; *seen* holds the pairs of references compared so far."""

    sent_root: Schema
    accepted_root: Schema
    seen: set[tuple[str, str]] = field(factory=set)

    def compare(self, sent: Schema, accepted: Schema, path: str) -> Iterator[Gap]:
        """Compare two schemas for the value at *path*."""
        if sent == accepted and definitions(self.sent_root) == definitions(self.accepted_root):
            return
        refs = (reference(sent), reference(accepted))
        if all(refs):
            if refs in self.seen:
                return
            self.seen.add(refs)
        parts = self._split(accepted)
        if len(parts) > 1:
            # Compared one by one: merging them would lose a keyword that two of them have.
            for part in parts:
                yield from self.compare(sent, part, path)
            return
        whole, sent, accepted = sent, flatten(sent, self.sent_root), parts[0]
        if accepted is True or sent is False:
            return
        if without_annotations(sent) == without_annotations(accepted) == {}:
            return
        if accepted is False:
            yield Gap(path, "a value", "nothing")
            return
        sent = {} if sent is True else sent
        if allowed_values(sent) is not None:
            yield from self._compare_values(whole, sent, accepted, path)
            return
        sent_branches = branches_of(sent)
        if sent_branches:
            for branch in sent_branches:
                yield from self.compare(branch, accepted, path)
            return
        yield from self._compare_single(sent, accepted, path)

    def _compare_values(
        self, whole: Schema, sent: Schema, accepted: Schema, path: str
    ) -> Iterator[Gap]:
        is_sent = compile_validator({**whole, **definitions(self.sent_root)}).is_valid
        is_accepted = compile_validator({**accepted, **definitions(self.accepted_root)}).is_valid
        for value in allowed_values(sent) or ():
            if is_sent(value) and not is_accepted(value):
                yield Gap(path, repr(value), describe(accepted))

    def _split(self, schema: Schema) -> list[Schema]:
        """Return the schemas that must all accept a value for *schema* to accept it."""
        if not isinstance(schema, Mapping):
            return [schema]
        if "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key not in ANNOTATIONS}
            target = self._split(resolve_reference(self.accepted_root, schema["$ref"]))
            return [*target, *(self._split(rest) if rest else ())]
        parts = [part for schema_ in schema.get("allOf", ()) for part in self._split(schema_)]
        rest = {key: value for key, value in schema.items() if key != "allOf"}
        choices = [keyword for keyword in ("anyOf", "oneOf") if keyword in rest]
        if rest.keys() - {*choices, *ANNOTATIONS, "$defs"}:
            parts += [{keyword: rest.pop(keyword)} for keyword in choices]
        return [*parts, rest] if not parts or rest.keys() - ANNOTATIONS else parts

    def _compare_single(self, sent: Schema, accepted: Schema, path: str) -> Iterator[Gap]:
        """Compare two schemas of which *sent* has no branches."""
        accepted_branches = branches_of(accepted)
        if accepted_branches:
            yield from self._compare_branches(sent, accepted_branches, path)
            return
        if allowed_values(accepted) is not None:
            yield Gap(path, describe(sent), describe(accepted))
            return
        types = json_types(accepted)
        refused = [name for name in json_types(sent) if not _accepts_type(name, types)]
        if refused:
            yield Gap(path, " or ".join(refused), describe(accepted))
            return
        yield from compare_bounds(sent, accepted, path)
        for keyword in _INCOMPARABLE:
            if keyword in accepted and sent.get(keyword) != accepted[keyword]:
                yield keyword_gap(keyword, sent, accepted, path)
        if "object" in json_types(sent):
            yield from self._compare_objects(sent, accepted, path)
        if "array" in json_types(sent):
            yield from self._compare_arrays(sent, accepted, path)

    def _compare_branches(self, sent: Schema, branches: list[Any], path: str) -> Iterator[Gap]:
        """Yield the gaps to the closest branch, unless one branch accepts everything."""
        roots = self.sent_root, self.accepted_root
        results = [list(_Comparison(*roots).compare(sent, branch, path)) for branch in branches]
        if all(results):
            # The closest branch is the one that the author most likely means.
            yield from min(
                results, key=lambda result: (_is_type_mismatch(result, path), len(result))
            )

    def _compare_objects(self, sent: Schema, accepted: Schema, path: str) -> Iterator[Gap]:
        ours, theirs = sent.get("properties", {}), accepted.get("properties", {})
        # A schema that declares properties and does not mention others means to send no others.
        more = sent.get("additionalProperties", None if "properties" in sent else True)
        others = accepted.get("additionalProperties", True)
        for name in accepted.get("required", ()):
            has_default = isinstance(theirs.get(name), Mapping) and "default" in theirs[name]
            if name not in sent.get("required", ()) and not has_default:
                yield Gap(join_path(path, name), "nothing", "a value (required)")
        for name, schema in ours.items():
            if name in theirs:
                yield from self.compare(schema, theirs[name], join_path(path, name))
            elif others is not True:
                yield from self.compare(schema, others, join_path(path, name))
        if more is True or isinstance(more, Mapping):
            for name, schema in theirs.items():
                if name not in ours:
                    yield from self.compare(more, schema, join_path(path, name))
            if others is not True:
                yield from self.compare(more, others, f"{path}.*")

    def _compare_arrays(self, sent: Schema, accepted: Schema, path: str) -> Iterator[Gap]:
        ours, theirs = sent.get("prefixItems", []), accepted.get("prefixItems", [])
        rest, others = sent.get("items", True), accepted.get("items", True)
        for index in range(max(len(ours), len(theirs))):
            mine = ours[index] if index < len(ours) else rest
            yours = theirs[index] if index < len(theirs) else others
            yield from self.compare(mine, yours, join_path(path, index))
        is_closed = sent.get("maxItems", len(ours) + 1) <= len(ours)
        if not is_closed and rest is not False:
            yield from self.compare(rest, others, f"{path}[]")
        if accepted.get("uniqueItems") and not sent.get("uniqueItems"):
            yield Gap(path, "an item twice", "each item once")


def _accepts_type(name: str, types: tuple[str, ...]) -> bool:
    return name in types or (name == "integer" and "number" in types)


def _is_type_mismatch(found: list[Gap], path: str) -> bool:
    return any(gap.path == path for gap in found)
