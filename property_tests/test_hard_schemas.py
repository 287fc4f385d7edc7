"""Hard schemas: of every combination, values that fit are drawn, or a part is named."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arvo.core.payloads.pruning import Pruner
from arvo.core.payloads.validation import compile_validator
from arvo.testing.schemas.draws import sample
from arvo.testing.schemas.json_values import json_values
from arvo.testing.schemas.regex.ecma import compile_pattern
from arvo.testing.schemas.regex.patterns import matches

_LEAVES = st.sampled_from(
    [
        {"type": "string", "pattern": "^[a-c]+$"},
        {"type": "string", "pattern": "b$"},
        {"type": "string", "minLength": 3},
        {"type": "string", "maxLength": 5},
        {"type": "integer", "minimum": 0},
        {"type": "integer", "multipleOf": 3},
        {"enum": ["abc", 3, None, True]},
        {"type": ["string", "null"]},
        {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True},
        {"type": "array", "contains": {"const": 2}, "minItems": 2},
        {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
        {"type": "object", "minProperties": 1, "properties": {"b": {"type": "string"}}},
        {"type": "object", "patternProperties": {"^a": {"minimum": 1}}},
        {"type": "object", "additionalProperties": False, "properties": {"a": {}, "b": {}}},
    ]
)


def _condition(condition: Any, then: Any, otherwise: Any) -> Any:
    return {"if": condition, "then": then, "else": otherwise}


def _combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    pairs = st.lists(inner, min_size=2, max_size=2)
    return st.one_of(
        st.builds(dict, allOf=pairs),
        st.builds(dict, anyOf=pairs),
        st.builds(dict, oneOf=pairs),
        st.builds(lambda one, two: {"allOf": [one, {"not": two}]}, inner, inner),
        st.builds(
            lambda one, two, three: {"if": one, "then": two, "else": three}, inner, inner, inner
        ),
    )


SCHEMAS = st.recursive(_LEAVES, _combined, max_leaves=4)

# Values of which a schema accepts some, or none of what is easy to find.
WITNESSES: list[Any] = [
    *("abc", "b", "aab", "xyz", "", "abcabc", "aaaaab", "zzb"),
    *(0, 1, 3, 7, -3, -1, 0.5, True, False, None),
    *([], [2], [1, 2], [2, 2], [1, 2, 3], ["x", 2], [1], [1, 1]),
    *({}, {"a": 1}, {"a": 3}, {"b": "abc"}, {"a": 1, "b": "x"}, {"a": "x"}, {"c": 1}, {"b": 1}),
    *({"a": 1, "c": "x"}, {"ab": 0}, {"ab": 5}, {"a": None}),
]


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(SCHEMAS, st.data())
def test_what_is_drawn_of_a_combination_fits_it(schema: Any, data: st.DataObject) -> None:
    """The strategy is built from a rewritten schema; the original one decides."""
    value = data.draw(json_values(schema))

    assert compile_validator(schema).is_valid(value)


@settings(max_examples=100, suppress_health_check=[HealthCheck.nested_given])
@given(SCHEMAS)
def test_a_combination_that_a_value_fits_is_drawn(schema: Any) -> None:
    """Not by trying arbitrary values, of which almost none fits.

    A value counts that also fits without the keys that a reader drops: no other is drawn.
    """
    is_valid, pruner = compile_validator(schema).is_valid, Pruner(schema)
    fitting = [value for value in WITNESSES if is_valid(value) and is_valid(pruner.prune(value))]

    assert not fitting or sample(json_values(schema), 1).drawn, fitting


@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                "[a-c]",
                "[^a]",
                "(ab|c)",
                r"\d{2}",
                ".",
                "x*",
                "y+?",
                "(?=b)",
                r"(z)\1",
                r"\p{Lu}",
            ]
        ),
        min_size=1,
        max_size=4,
    ).map("".join),
    st.integers(0, 12),
    st.integers(0, 6),
    st.booleans(),
    st.data(),
)
def test_a_drawn_string_matches_and_has_the_length(
    body: str, least: int, more: int, is_anchored: bool, data: st.DataObject
) -> None:
    """Also where the pattern is open at its ends, and the length is far from its own."""
    pattern = compile_pattern(f"^{body}$" if is_anchored else body)
    strings = matches(pattern, least, least + more)

    text = data.draw(strings)

    assert pattern.search(text)
    assert least <= len(text) <= least + more
