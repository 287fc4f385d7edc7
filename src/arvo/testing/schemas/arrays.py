"""Arrays: a Hypothesis strategy for the array keywords of a JSON Schema."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from attrs import frozen
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from arvo.core.payloads.json_data import canonical
from arvo.testing.schemas.json_schema import CONTAINS, Schema, all_of, json_types

JsonValues: TypeAlias = SearchStrategy[Any]

# Items beyond those that the schema requires. Longer lists test nothing more, and they shrink more
# slowly.
ITEMS_MAX: Final = 4
# All values of smaller sets are listed, so that each can be drawn once.
DOMAIN_MAX: Final = 256


@frozen(eq=False, repr=False)
class Arrays:
    """Draws the arrays of *schema*.

    *build* makes the strategy of an inner schema, *accepts* tells whether a value fits one.
    """

    schema: Schema
    build: Callable[[Any], JsonValues]
    accepts: Callable[[Any, Any], bool]

    def values(self) -> JsonValues:
        """Return the strategy; of a schema that no array fits, an empty one."""
        least, most = self._lengths()
        if most < least:
            return st.nothing()
        if CONTAINS in self.schema or "prefixItems" in self.schema:
            return self._by_position(least, most)
        items = self.schema.get("items", True)
        if most == 0:
            return st.just([])
        if not self.schema.get("uniqueItems"):
            return st.lists(self.build(items), min_size=least, max_size=most)
        domain = domain_of(items, self.accepts)
        if domain is not None:
            most = min(most, len(domain))
            if most < least:
                return st.nothing()
            chosen = st.sampled_from(domain) if domain else st.nothing()
            return st.lists(chosen, min_size=least, max_size=most, unique_by=canonical)
        return st.lists(self.build(items), min_size=least, max_size=most, unique_by=canonical)

    def _lengths(self) -> tuple[int, int]:
        prefix = self.schema.get("prefixItems", ())
        least = int(self.schema.get("minItems", 0))
        hits = sum(contains.get("minContains", 1) for contains in self.schema.get(CONTAINS, ()))
        usual = max(least, len(prefix), hits) + ITEMS_MAX
        most = min(usual, int(self.schema.get("maxItems", usual)))
        for position in range(min(most, len(prefix) + 1)):
            if is_empty(self._schema_at(position), self.build):
                most = position
                break
        return least, most

    def _schema_at(self, position: int) -> Any:
        prefix: Sequence[Any] = self.schema.get("prefixItems", ())
        return prefix[position] if position < len(prefix) else self.schema.get("items", True)

    def _by_position(self, least: int, most: int) -> JsonValues:
        conditions: Sequence[Schema] = self.schema.get(CONTAINS, ())
        required = max((contains.get("minContains", 1) for contains in conditions), default=0)
        least = max(least, required)
        return self._draw_by_position(least, most)() if least <= most else st.nothing()

    def _draw_by_position(self, least: int, most: int) -> Callable[[], JsonValues]:
        @st.composite
        def drawn(draw: DrawFn) -> list[Any]:
            # An array of all positions of the prefix is the simplest, as most are of this length.
            usual = min(most, max(least, len(self.schema.get("prefixItems", ()))))
            size = draw(st.just(usual) | st.integers(least, most))
            parts: list[list[Any]] = [[self._schema_at(position)] for position in range(size)]
            refused: list[list[Any]] = [[] for _ in range(size)]
            for contains in self.schema.get(CONTAINS, ()):
                self._place(draw, contains, parts, refused)
            items: list[Any] = []
            seen: set[bytes] = set()
            for schema, others in zip(map(all_of, parts), refused, strict=True):
                values = self.build(schema)
                if others:
                    values = values.filter(partial(self._refuses_all, others))
                if self.schema.get("uniqueItems"):
                    values = values.filter(lambda value: canonical(value) not in seen)
                items.append(draw(values))
                seen.add(canonical(items[-1]))
            return items

        return drawn

    def _refuses_all(self, schemas: list[Any], value: Any) -> bool:
        return not any(self.accepts(schema, value) for schema in schemas)

    def _place(
        self,
        draw: DrawFn,
        contains: Mapping[str, Any],
        parts: list[list[Any]],
        refused: list[list[Any]],
    ) -> None:
        """Choose the positions at which a condition of `contains` holds."""
        size, condition = len(parts), contains["contains"]
        least = contains.get("minContains", 1)
        most = min(size, contains.get("maxContains", size))
        possible = [
            position
            for position in range(size)
            if not is_empty(all_of([*parts[position], condition]), self.build)
        ]
        if least > min(most, len(possible)):
            reject()
        # More may not fit in with the other keywords.
        count = draw(st.just(least) | st.integers(least, min(most, len(possible))))
        hits = draw(st.permutations(possible))[:count]
        for position in range(size):
            if position in hits:
                parts[position].append(condition)
            elif "maxContains" in contains:
                refused[position].append(condition)


def domain_of(schema: Any, accepts: Callable[[Any, Any], bool]) -> list[Any] | None:
    """Return all values of a schema that has few, or None."""
    if not isinstance(schema, Mapping) or "$ref" in schema:
        return None
    values = _listed(schema)
    if values is None or len(values) > DOMAIN_MAX:
        return None
    unique = {canonical(value): value for value in values}
    return [value for value in unique.values() if accepts(schema, value)]


def _listed(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    if "enum" in schema:
        return list(schema["enum"])
    values: list[Any] = []
    for name in json_types(schema):
        low, high = schema.get("minimum"), schema.get("maximum")
        if name == "null":
            values.append(None)
        elif name == "boolean":
            values += [False, True]
        elif name == "integer" and low is not None and high is not None:
            if high - low > DOMAIN_MAX:
                return None
            values += range(int(low), int(high) + 1)
        else:
            return None
    return values


def is_empty(schema: Any, build: Callable[[Any], JsonValues]) -> bool:
    """Return True if nothing fits *schema*; one with a reference counts as not empty.

    Following references could recurse without end.
    """
    if schema is False:
        return True
    return schema is not True and "$ref" not in str(schema) and build(schema).is_empty
