"""Secrets: what a schema marks is hidden wherever it may stand."""

from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from attrs import frozen

from arvo import Payload, Secret
from arvo.core.payloads.secrets import HIDDEN, hide_secrets, secret_texts


@frozen
class Card:
    number: Annotated[str, Secret()]
    holder: str


@frozen
class Customer:
    name: str
    card: Card
    former: tuple[Card, ...] = ()
    pins: Annotated[tuple[str, ...], Secret()] = ()
    code: Annotated[str, Secret()] | None = None


DATA = {
    "name": "Ann",
    "card": {"number": "4111", "holder": "Ann"},
    "former": [{"number": "4222", "holder": "Bob"}],
    "pins": ["1", "2"],
    "code": None,
}


def test_a_class_marks_its_secrets_at_every_depth() -> None:
    """An author annotates a field once, and every class that holds it hides it."""
    hidden = hide_secrets(Payload.of(Customer).schema, DATA)

    assert hidden == {
        "name": "Ann",
        "card": {"number": HIDDEN, "holder": "Ann"},
        "former": [{"number": HIDDEN, "holder": "Bob"}],
        "pins": HIDDEN,
        "code": None,
    }


def test_the_texts_of_secrets_are_known() -> None:
    """A handler may copy one into another text, where it is hidden by its value."""
    texts = secret_texts(Payload.of(Customer).schema, {**DATA, "code": "x9"})

    assert texts == {"4111", "4222", "1", "2", "x9"}


def test_a_secret_is_stored_and_sent_as_it_is() -> None:
    """The marker is for readers; it changes no data."""
    payload = Payload.of(Card)
    card = payload.read({"number": "4111", "holder": "Ann"})

    assert card == Card("4111", "Ann")
    assert payload.write(Card("4111", "Ann")) == {"number": "4111", "holder": "Ann"}
    assert payload.schema["properties"]["number"] == {"type": "string", "writeOnly": True}


SECRET: Mapping[str, Any] = {"writeOnly": True}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": SECRET}},
        {"additionalProperties": SECRET},
        {"patternProperties": {"^a": SECRET}},
        {"anyOf": [{"properties": {"a": {"type": "integer"}}}, {"properties": {"a": SECRET}}]},
        {"oneOf": [{"properties": {"a": SECRET}}]},
        {"allOf": [{"then": {"properties": {"a": SECRET}}}]},
        {"$ref": "#/$defs/x~1y", "$defs": {"x/y": {"properties": {"a": SECRET}}}},
        {"properties": {"a": {"anyOf": [{"type": "null"}, SECRET]}}},
    ],
)
def test_a_schema_marks_a_secret_in_each_place_where_it_may_apply(
    schema: Mapping[str, Any],
) -> None:
    """Contracts from elsewhere are written by hand; what may be secret is hidden."""
    assert hide_secrets(schema, {"a": {"deep": ["4111"]}}) == {"a": HIDDEN}
    assert secret_texts(schema, {"a": {"deep": ["4111"]}}) == {"deep", "4111"}


@pytest.mark.parametrize(
    ("schema", "hidden"),
    [
        ({"items": SECRET}, [HIDDEN, HIDDEN]),
        ({"prefixItems": [{}, SECRET]}, ["a", HIDDEN]),
        ({"prefixItems": [{}], "items": SECRET}, ["a", HIDDEN]),
        ({"items": [SECRET]}, [HIDDEN, "b"]),
        ({"items": [{}], "additionalItems": SECRET}, ["a", HIDDEN]),
    ],
)
def test_a_schema_marks_secrets_in_arrays(schema: Mapping[str, Any], hidden: list[str]) -> None:
    """In each draft that an imported contract may name."""
    assert hide_secrets(schema, ["a", "b"]) == hidden


def test_a_schema_that_refers_to_itself_ends() -> None:
    """A page must not hang on the contract of another program."""
    itself = {"$ref": "#"}
    schema = {
        "anyOf": [itself, dict(itself), dict(itself)],
        "properties": {"child": itself, "pin": SECRET},
    }

    assert hide_secrets(schema, {"child": {"pin": "1"}}) == {"child": {"pin": HIDDEN}}
