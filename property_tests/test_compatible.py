"""Compatible: if `compatible` reports no breaking change, every value is accepted."""

from typing import Any

from hypothesis import assume, given
from hypothesis import event as note
from hypothesis import strategies as st

from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues
from arvo.testing import payloads
from arvo.testing.compatibility.subschema import gaps

NUMBERS = st.fixed_dictionaries(
    {"type": st.sampled_from(["integer", "number"])},
    optional={
        "minimum": st.integers(0, 3),
        "exclusiveMinimum": st.integers(0, 3),
        "maximum": st.integers(3, 9),
        "multipleOf": st.sampled_from([1, 2, 3]),
    },
)
TEXTS = st.fixed_dictionaries(
    {"type": st.just("string")},
    optional={
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(3, 5),
        "pattern": st.sampled_from(["^[a-c]{3,4}$", "a"]),
        "format": st.just("date"),
    },
)
CHOICES = st.one_of(
    st.builds(lambda value: {"const": value}, st.sampled_from(["a", 1, None])),
    st.builds(
        lambda values: {"enum": sorted(values, key=str)},
        st.sets(st.sampled_from(["a", "aa", 1, 3, None, True]), min_size=1),
    ),
    st.just({"type": "null"}),
    st.just({"type": "boolean"}),
    st.just({}),
)


def compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw schemas that contain other schemas."""
    named = st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    return st.one_of(
        st.builds(
            lambda items, bounds: {"type": "array", "items": items, **bounds},
            inner,
            st.fixed_dictionaries(
                {},
                optional={
                    "minItems": st.integers(0, 2),
                    "maxItems": st.integers(2, 3),
                    "uniqueItems": st.booleans(),
                },
            ),
        ),
        st.builds(
            lambda prefix, items: {"type": "array", "prefixItems": prefix, "items": items},
            st.lists(inner, min_size=1, max_size=2),
            inner | st.just(False),  # noqa: FBT003
        ),
        st.builds(
            lambda properties, required, more: {
                "type": "object",
                "properties": properties,
                "required": [name for name in sorted(properties) if name in required],
                **more,
            },
            named,
            st.sets(st.sampled_from(["a", "b"])),
            st.fixed_dictionaries({}, optional={"additionalProperties": st.booleans()}),
        ),
        st.builds(lambda schema: {"type": "object", "additionalProperties": schema}, inner),
        st.builds(lambda parts: {"anyOf": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"allOf": parts}, st.lists(inner, min_size=1, max_size=2)),
    )


SCHEMAS = st.recursive(NUMBERS | TEXTS | CHOICES, compound, max_leaves=4)


def object_with(schema: Any) -> dict[str, Any]:
    """Return the schema of a payload with one property."""
    return {"type": "object", "properties": {"it": schema}, "required": ["it"]}


@given(SCHEMAS)
def test_a_schema_has_no_gap_to_itself(schema: Any) -> None:
    """An unchanged contract breaks no side."""
    assert list(gaps(object_with(schema), object_with(schema), "data")) == []


@given(st.data(), SCHEMAS, SCHEMAS | st.none())
def test_without_a_gap_every_value_that_is_sent_is_accepted(
    data: st.DataObject, sent: Any, accepted: Any
) -> None:
    """A check that misses a breaking change is worse than no check."""
    wide = {"anyOf": [sent, {"type": "string"}]} if accepted is None else accepted
    if list(gaps(object_with(sent), object_with(wide), "data")):
        note("a gap")
        return
    note("no gap")
    values = payloads(object_with(sent))
    assume(not values.is_empty)

    read = Payload.of(object_with(wide)).read(data.draw(values))

    assert not isinstance(read, Issues), str(read)
