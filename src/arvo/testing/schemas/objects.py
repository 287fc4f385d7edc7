"""Objects: a Hypothesis strategy for the object keywords of a JSON Schema."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from attrs import frozen
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from arvo.testing.schemas.arrays import is_empty
from arvo.testing.schemas.json_schema import Schema, all_of

JsonValues: TypeAlias = SearchStrategy[Any]

# Properties beyond those that the schema requires or declares.
EXTRA_PROPERTIES_MAX: Final = 4
_COUNTED: Final = frozenset(
    {"minProperties", "maxProperties", "propertyNames", "patternProperties"}
)


@frozen(eq=False, repr=False)
class Objects:
    """Draws the objects of *schema*.

    *build* makes the strategy of an inner schema, *accepts* tells whether a value fits one.
    """

    schema: Schema
    build: Callable[[Any], JsonValues]
    accepts: Callable[[Any, Any], bool]

    def values(self) -> JsonValues:
        """Return the strategy; of a schema that no object fits, an empty one."""
        names = dict.fromkeys(self.schema.get("required", ()))
        if any(is_empty(self._schema_of(name), self.build) for name in names):
            return st.nothing()
        required = {name: self.build(self._schema_of(name)) for name in names}
        optional = {
            name: self.build(self._schema_of(name))
            for name in self.schema.get("properties", {})
            if name not in required and not is_empty(self._schema_of(name), self.build)
        }
        if not self.schema.keys() & _COUNTED:
            return self._uncounted(required, optional)

        # Without parameters: Hypothesis writes out those of a strategy whenever a draw fails.
        @st.composite
        def drawn(draw: DrawFn) -> dict[str, Any]:
            return _draw_counted(draw, self, required, optional)

        return drawn()

    def _uncounted(
        self, required: dict[str, JsonValues], optional: dict[str, JsonValues]
    ) -> JsonValues:
        declared = st.fixed_dictionaries(required, optional=optional)
        additional = self._additional()
        if is_empty(additional, self.build):
            return declared
        keys = self.build({"type": "string"})
        extra = st.dictionaries(keys, self.build(additional), max_size=EXTRA_PROPERTIES_MAX)
        return st.builds(lambda known, extra: {**extra, **known}, declared, extra)

    def _schema_of(self, name: str) -> Any:
        """Return the schema of the property *name*: False if it cannot have the name."""
        if "propertyNames" in self.schema and not self.accepts(self.schema["propertyNames"], name):
            return False
        parts = [
            schema
            for pattern, schema in self.schema.get("patternProperties", {}).items()
            if self.accepts({"pattern": pattern}, name)
        ]
        if name in self.schema.get("properties", {}):
            parts.append(self.schema["properties"][name])
        elif not parts:
            parts.append(self._undeclared())
        return all_of(parts)

    def _undeclared(self) -> Any:
        """Return the schema of a property that neither a name nor a pattern describes."""
        for keyword in ("additionalProperties", "unevaluatedProperties"):
            if keyword in self.schema:
                return self.schema[keyword]
        return True

    def _additional(self) -> Any:
        # A receiver drops properties that the schema does not declare, so where it declares some,
        # others are drawn only if `additionalProperties` describes them.
        is_open = not self.schema.keys() & {"properties", "patternProperties"}
        is_described = self.schema.keys() & {"additionalProperties", "unevaluatedProperties"}
        return self._undeclared() if is_open or is_described else False

    def names(self, *, fills: bool) -> list[SearchStrategy[str]]:
        """Return strategies for the names of properties that are not declared.

        *fills*: also such that a receiver drops, because the object has too few without them.
        """
        parts = [{"type": "string"}, self.schema.get("propertyNames", True)]
        patterns: Mapping[str, Any] = self.schema.get("patternProperties", {})
        names = [
            self.build(all_of([*parts, {"pattern": pattern}]))
            for pattern, schema in patterns.items()
            if not is_empty(schema, self.build)
        ]
        if not is_empty(self._undeclared() if fills else self._additional(), self.build):
            other = self.build(all_of(parts))
            names.append(
                other.filter(
                    lambda name: not any(self.accepts({"pattern": p}, name) for p in patterns)
                )
                if patterns
                else other
            )
        return [strategy for strategy in names if not strategy.is_empty]

    def undeclared(self, name: str) -> JsonValues:
        """Return the strategy for the value of the undeclared property *name*."""
        return self.build(self._schema_of(name))


def _draw_counted(
    draw: DrawFn,
    objects: Objects,
    required: dict[str, JsonValues],
    optional: dict[str, JsonValues],
) -> dict[str, Any]:
    """Draw objects whose number of properties has bounds, or whose names have a schema."""
    schema = objects.schema
    least = max(0, int(schema.get("minProperties", 0)) - len(required))
    most = int(schema.get("maxProperties", 2**31)) - len(required)
    available = len(optional)
    known = draw(
        st.lists(
            st.sampled_from(sorted(optional)) if optional else st.nothing(),
            unique=True,
            min_size=0,
            max_size=max(0, min(available, most)),
        )
    )
    names = objects.names(fills=least > available)
    if not names or draw(st.booleans()):
        # Declared properties first, because others may not be allowed.
        rest = [name for name in sorted(optional) if name not in known]
        known += rest[: max(0, least - len(known))]
    missing = max(0, least - len(known))
    extra: list[str] = []
    room = min(missing + EXTRA_PROPERTIES_MAX, most - len(known))
    if names and room > 0:
        declared = {*required, *schema.get("properties", {})}
        fresh = st.one_of(names).filter(lambda name: name not in declared and name not in extra)
        # Not `unique=True`, which refuses a strategy that has fewer values.
        for _ in range(missing):
            extra.append(draw(fresh))  # noqa: PERF401 - the filter reads those drawn before
        more = draw(st.lists(st.one_of(names), max_size=room - missing))
        extra += [name for name in dict.fromkeys(more) if name not in declared.union(extra)]
    values = {**required, **{name: optional[name] for name in known}}
    values |= {name: objects.undeclared(name) for name in extra}
    return {name: draw(strategy) for name, strategy in values.items()}
