"""Laws of compatibility: where no break is named, nothing breaks."""

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
    st.builds(lambda one: {"const": one}, st.sampled_from(["a", 1, None])),
    st.builds(
        lambda some: {"enum": sorted(some, key=str)},
        st.sets(st.sampled_from(["a", "aa", 1, 3, None, True]), min_size=1),
    ),
    st.just({"type": "null"}),
    st.just({"type": "boolean"}),
    st.just({}),
)


def wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Give schemas made of other schemas."""
    named = st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    return st.one_of(
        st.builds(
            lambda items, more: {"type": "array", "items": items, **more},
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
            lambda first, items: {"type": "array", "prefixItems": first, "items": items},
            st.lists(inner, min_size=1, max_size=2),
            inner | st.just(False),  # noqa: FBT003
        ),
        st.builds(
            lambda each, needed, more: {
                "type": "object",
                "properties": each,
                "required": [name for name in sorted(each) if name in needed],
                **more,
            },
            named,
            st.sets(st.sampled_from(["a", "b"])),
            st.fixed_dictionaries({}, optional={"additionalProperties": st.booleans()}),
        ),
        st.builds(lambda each: {"type": "object", "additionalProperties": each}, inner),
        st.builds(lambda some: {"anyOf": some}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda some: {"allOf": some}, st.lists(inner, min_size=1, max_size=2)),
    )


SCHEMAS = st.recursive(NUMBERS | TEXTS | CHOICES, wider, max_leaves=4)


def holding(schema: Any) -> dict[str, Any]:
    """Make a payload's schema of any."""
    return {"type": "object", "properties": {"it": schema}, "required": ["it"]}


@given(SCHEMAS)
def test_a_schema_is_within_itself(schema: Any) -> None:
    """A contract that nobody changed breaks nobody."""
    assert list(gaps(holding(schema), holding(schema), "data")) == []


@given(st.data(), SCHEMAS, SCHEMAS | st.none())
def test_where_there_is_no_gap_all_that_one_allows_the_other_takes(
    data: st.DataObject, one: Any, other: Any
) -> None:
    """A gate that lets a break through is worse than none."""
    wide = {"anyOf": [one, {"type": "string"}]} if other is None else other
    if list(gaps(holding(one), holding(wide), "data")):
        note("a gap")
        return
    note("no gap")
    values = payloads(holding(one))
    assume(not values.is_empty)

    found = Payload.of(holding(wide)).read(data.draw(values))

    assert not isinstance(found, Issues), str(found)
