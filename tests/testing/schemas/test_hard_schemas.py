"""Hard schemas: each either gives enough events, or an error names the part that does not."""

import re
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arvo import Contract, Emit, Event, EventHandler, Payload, Version
from arvo.core.payloads.validation import compile_validator
from arvo.testing import (
    LawViolated,
    NotChecked,
    UndrawableSchema,
    check_handler,
    check_workflow,
    events,
    payloads,
)
from tests.testing.laws.workflows import asking
from tests.testing.schemas.hard_schemas import ARRAYS, HARD, payload_schema

EVENTS_MIN: Final = 50
FEW: Final = settings(max_examples=20, deadline=None, database=None, derandomize=True)


def handler_of(schema: dict[str, Any], function: Any) -> EventHandler[Any]:
    answered = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
    version = Version(accepts=schema, emits={"evt.hard.done": answered})
    contract = Contract(uri="#/hard", type="com.hard.read", versions={"1.0.0": version})
    return EventHandler(contract, {"1.0.0": function})


def answers(event: Event[Any]) -> Emit:
    return Emit({"ok": True}, type="evt.hard.done")


def always_raises(event: Event[Any]) -> Emit:
    raise ValueError("never right")


@pytest.mark.parametrize("name", HARD)
def test_enough_events_of_a_hard_schema_are_tried(name: str) -> None:
    """A handler that nothing was tried on must not pass, and a wrong one must be found."""
    schema = payload_schema(name)

    report = check_handler(handler_of(schema, answers))

    assert report.tried >= EVENTS_MIN
    with pytest.raises(LawViolated):
        check_handler(handler_of(schema, always_raises))


@pytest.mark.parametrize("name", HARD)
def test_what_is_drawn_fits_the_schema_as_it_is_written(name: str) -> None:
    """The schema is rewritten to draw from it; the original decides."""
    schema = payload_schema(name)
    validator = compile_validator(schema)
    drawn: list[Any] = []

    @settings(FEW, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        drawn.append(data.draw(payloads(schema)))

    draw()
    assert drawn
    assert all(validator.is_valid(value) for value in drawn)


# The schema of `it`, and the parts of the message that names what cannot be drawn.
UNDRAWABLE: Final[dict[str, tuple[dict[str, Any], tuple[str, ...]]]] = {
    "a pattern that nothing matches": (
        {"type": "string", "pattern": "^(?=a)b"},
        ("data.it: 0 of", '"pattern":"^(?=a)b"'),
    ),
    "a pattern that is too short": (
        {"type": "string", "pattern": "^[a-z]{3}$", "minLength": 9},
        ("data.it: 0 of", '"minLength":9'),
    ),
    "a lookbehind of any length": (
        {"type": "string", "pattern": "(?<=a*)b"},
        ("data.it: no string is drawn for the pattern '(?<=a*)b'", "fixed-width"),
    ),
    "crossed bounds": (
        {"type": "integer", "minimum": 5, "maximum": 4},
        ("data.it: 0 of", '"minimum":5,"maximum":4'),
    ),
    "no multiple in the range": (
        {"type": "integer", "multipleOf": 100, "minimum": 1, "maximum": 99},
        ("data.it: 0 of", '"multipleOf":100'),
    ),
    "too many unique values": (
        {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "minItems": 3},
        ("data.it: 0 of", '"uniqueItems":true'),
    ),
    "items below": (
        {"type": "array", "items": {"type": "string", "pattern": "^.$", "maxLength": 0}},
        ("data.it[]: 0 of", '"maxLength":0'),
    ),
    "a property below": (
        {"type": "object", "properties": {"sku": {"allOf": [{"const": 1}, {"const": 2}]}}},
        ("data.it.sku: 0 of",),
    ),
    "one alternative": (
        {"anyOf": [{"type": "string"}, {"type": "string", "pattern": "^x$", "minLength": 3}]},
        ("data.it: 0 of", '"pattern":"^x$","minLength":3'),
    ),
    "more keys than names": (
        {"type": "object", "propertyNames": {"enum": ["a", "b"]}, "minProperties": 3},
        ("data.it: 0 of", '"minProperties":3'),
    ),
    "a format that a pattern excludes": (
        {"type": "string", "format": "date", "pattern": "^never"},
        ("data.it: 0 of", '"format":"date"'),
    ),
    "a schema of the metaschema": (
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        ("https://json-schema.org/draft/2020-12/schema",),
    ),
}


@pytest.mark.parametrize("name", UNDRAWABLE)
@pytest.mark.parametrize("is_required", [True, False])
def test_a_part_that_cannot_be_drawn_has_a_name(name: str, is_required: bool) -> None:
    """Also an optional one, without which events are drawn, but none that test it."""
    schema, texts = UNDRAWABLE[name]
    whole = {"type": "object", "properties": {"it": schema, "id": {"type": "integer"}}}
    if is_required:
        whole["required"] = ["it"]

    with pytest.raises(NotChecked) as caught:
        check_handler(handler_of(whole, always_raises))

    message = str(caught.value)
    assert message.startswith("the handler of #/hard was not checked: no events can be drawn")
    assert all(text in message for text in texts), message
    assert "remedy: pass events=events(" in message


def test_the_remedy_works() -> None:
    """A field with a strategy of its own need not be drawn from its schema."""
    schema, _ = UNDRAWABLE["a lookbehind of any length"]
    whole = {"type": "object", "properties": {"it": schema}, "required": ["it"]}
    handler = handler_of(whole, answers)
    with pytest.raises(UndrawableSchema, match=re.escape("data.it: no string is drawn")):
        events(handler.contract["1.0.0"])

    drawn = events(handler.contract["1.0.0"], it=st.text("abc").map("{}b".format))

    assert check_handler(handler, events=drawn).tried >= EVENTS_MIN


def test_a_version_of_which_nothing_is_drawn_is_named() -> None:
    """Events of the other versions must not hide it."""
    contract = Contract(
        uri="#/hard",
        type="com.hard.read",
        versions={
            "1.0.0": Version(
                accepts={"properties": {"it": UNDRAWABLE["crossed bounds"][0]}},
                emits={"evt.hard.done": {}},
            ),
            "2.0.0": Version(accepts={"properties": {"n": {"type": "integer"}}}, emits={}),
        },
    )

    with pytest.raises(NotChecked, match=r"data\.it: 0 of"):
        check_handler(EventHandler(contract, {"1.0.0": answers, "2.0.0": lambda event: None}))


@pytest.mark.parametrize("name", ["40 hex digits", "a password", "contains one", "a tuple"])
def test_replies_with_a_hard_schema_are_drawn(name: str) -> None:
    """A workflow is tried with what its services may send."""
    report = check_workflow(asking(payload_schema(name)))

    assert report.tried >= EVENTS_MIN
    assert report.laws["redelivery"] >= EVENTS_MIN


@pytest.mark.parametrize("name", ["crossed bounds", "items below", "a lookbehind of any length"])
def test_a_reply_that_cannot_be_drawn_has_a_name(name: str) -> None:
    """With the event type of the reply."""
    schema, texts = UNDRAWABLE[name]

    with pytest.raises(NotChecked) as caught:
        check_workflow(asking({"type": "object", "properties": {"it": schema}}))

    message = str(caught.value)
    assert f"the reply evt.hard.answered: {texts[0]}" in message


def test_arrays_of_every_permitted_length_are_drawn() -> None:
    """`prefixItems` does not require that all positions are there (2020-12 core §10.3.1.1)."""
    lengths: set[int] = set()
    schema = {"properties": {"it": ARRAYS["a short prefix"]}, "required": ["it"]}

    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    @given(payloads(schema))
    def draw(value: Any) -> None:
        lengths.add(len(value["it"]))

    draw()
    assert lengths == {0, 1, 2}


def test_both_sides_of_a_condition_are_drawn() -> None:
    """A law on a side that is never drawn holds in vain."""
    kinds: set[str] = set()

    @settings(max_examples=100, deadline=None, database=None, derandomize=True)
    @given(payloads(payload_schema("if, then, else")))
    def draw(value: Any) -> None:
        kinds.add("number" if value["kind"] == "card" else "iban")
        assert Payload.of(payload_schema("if, then, else")).read(value) == value

    draw()
    assert kinds == {"number", "iban"}
