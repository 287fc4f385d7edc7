"""Strategies: they draw every value that a contract permits, and no other."""

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Interval, Len, MultipleOf
from attrs import field, frozen
from hypothesis import find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from typing_extensions import is_typeddict

from arvo import (
    Contract,
    Format,
    OrchestratorContract,
    Pattern,
    Payload,
    SystemFault,
    Version,
    Workflow,
)
from arvo.core.payloads.types.constraint import FORMATS
from arvo.testing import behaviours, events, payloads, replies
from property_tests.test_payloads import payloads as classes
from tests.family import top
from tests.shop import CardCharged, ChargeCard, PlaceOrder, charge, order

# Enough to draw each of a dozen values.
MANY = settings(max_examples=2_000, deadline=None, database=None, derandomize=True)


@frozen
class Line:
    sku: Annotated[str, Pattern("^[a-c]{1,2}$"), Len(1, 2)]
    quantity: Annotated[int, Interval(ge=1, lt=100), MultipleOf(3)]
    kind: Literal["new", "used"] = "new"


@frozen
class Basket:
    lines: Annotated[tuple[Line, ...], Len(1, 3)]
    mail: Annotated[str, Format("email")] | None
    price: Annotated[float, Interval(gt=0.0, le=10.5)]
    total: int = field()

    @total.validator
    def _even(self, _: object, total: int) -> None:
        if total % 2:
            raise ValueError("total: expected an even number")


@given(st.data(), classes())
def test_every_drawn_value_of_a_class_is_valid(
    data: st.DataObject, drawn: tuple[type, Any]
) -> None:
    """When a law fails, the handler must be the reason, not the strategy."""
    cls, _ = drawn

    value = data.draw(payloads(cls))

    # A typed dict has no instances: its values are mappings.
    assert is_typeddict(cls) or type(value) is cls
    assert isinstance(Payload.of(cls).write(value), dict)


@given(st.data(), classes())
def test_every_drawn_value_of_a_schema_is_valid(
    data: st.DataObject, drawn: tuple[type, Any]
) -> None:
    """Contracts of other services are schemas without classes."""
    payload = Payload.of(Payload.of(drawn[0]).schema)

    value = data.draw(payloads(payload))

    assert payload.read(value) == value


@given(payloads(Basket))
def test_constraints_of_fields_and_validators_of_the_class_hold(basket: Basket) -> None:
    """Bounds, patterns and formats are drawn by construction; Python validators filter."""
    assert 1 <= len(basket.lines) <= 3
    assert all(set(line.sku) <= set("abc") for line in basket.lines)
    assert all(line.quantity in range(3, 100, 3) for line in basket.lines)
    assert basket.mail is None or "@" in basket.mail
    assert 0 < basket.price <= 10.5
    assert basket.total % 2 == 0


WORDS = {
    "type": "object",
    "properties": {
        "word": {"enum": ["a", "b", 1, None]},
        "on": {"type": "boolean"},
        "number": {"type": "integer", "minimum": 1, "exclusiveMaximum": 4},
    },
    "required": ["word", "on", "number"],
}


@pytest.mark.parametrize("word", ["a", "b", 1, None])
@pytest.mark.parametrize("on", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_value_of_a_small_schema_is_drawn(word: object, on: object, number: object) -> None:
    """A law proves nothing about values that are never drawn."""
    expected = {"word": word, "on": on, "number": number}

    assert find(payloads(WORDS), lambda value: dict(value) == expected, settings=MANY) == expected


def _object_with(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"it": schema}, "required": ["it"], "$defs": DEFS}


DEFS = {
    "tree": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "below": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
        },
        "required": ["name"],
    }
}
SCHEMAS: list[dict[str, Any]] = [
    {"$ref": "#/$defs/tree"},
    {"type": ["string", "null"], "maxLength": 3},
    {"type": "array", "items": {"type": "integer"}, "uniqueItems": True, "minItems": 2},
    {"type": "array", "prefixItems": [{"type": "string"}, {"const": 1}], "items": False},
    {"type": "object", "additionalProperties": {"type": "boolean"}, "maxProperties": 2},
    {"type": "object", "patternProperties": {"^x-": {"type": "null"}}},
    {"type": "object", "propertyNames": {"pattern": "^[a-z]$"}},
    {"oneOf": [{"type": "integer"}, {"type": "string", "format": "date"}]},
    {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 5}]},
    {"allOf": [{"$ref": "#/$defs/tree"}, {"required": ["below"]}]},
    {"type": "integer", "not": {"const": 0}},
    {"type": "number", "multipleOf": 0.5, "minimum": -1, "maximum": 1},
    {"if": {"type": "string"}, "then": {"minLength": 2}},
    {"type": "string", "minLength": 30, "maxLength": 40},
    {"properties": {"n": {"type": "null"}}, "required": ["n"]},
    {},
]


@given(st.data(), st.sampled_from(SCHEMAS))
def test_every_keyword_that_contracts_use_is_respected(
    data: st.DataObject, schema: dict[str, Any]
) -> None:
    """Schemas of other services use keywords that attrs classes do not need."""
    payload = Payload.of(_object_with(schema))

    assert isinstance(payload.read(data.draw(payloads(payload))), dict)


@given(st.data(), st.sampled_from(sorted(FORMATS)))
def test_every_format_is_drawn_as_it_is_checked(data: st.DataObject, name: str) -> None:
    """A strategy without valid values would make every test of the format fail."""
    payload = Payload.of(_object_with({"type": "string", "format": name}))

    assert isinstance(payload.read(data.draw(payloads(payload))), dict)


@given(payloads(ChargeCard, order_id=st.sampled_from(["o1", "o2"])))
def test_a_field_can_have_its_own_strategy(card: ChargeCard) -> None:
    """For values that exist only in a database."""
    assert card.order_id in ("o1", "o2")


def test_a_field_that_the_payload_lacks_is_refused() -> None:
    """A misspelled name would otherwise draw the default values."""
    with pytest.raises(TypeError, match="expected one of order_id, amount, got 'orderid'"):
        payloads(ChargeCard, orderid=st.none())


@frozen
class Newer:
    amount: int


two = Contract(
    uri="#/two",
    type="com.two.versions",
    versions={
        "1.0.0": Version(accepts=ChargeCard, emits={}),
        "2.0.0": Version(accepts=Newer, emits={}),
    },
)


@given(events(charge["1.0.0"]))
def test_a_drawn_event_is_accepted_by_the_contract(event: Any) -> None:
    """Its type, its dataschema and its data."""
    assert (event.type, event.dataschema) == (charge.type, charge["1.0.0"].dataschema)
    assert isinstance(charge["1.0.0"].accepted.read(event.raw), ChargeCard)


@pytest.mark.parametrize("kind", [ChargeCard, Newer])
def test_events_of_all_versions_of_a_contract_are_drawn(kind: type) -> None:
    """A handler answers all versions."""
    drawn = find(events(two), lambda event: isinstance(event.data, kind), settings=MANY)

    assert isinstance(drawn.data, kind)


@pytest.mark.parametrize("contract", [order["1.0.0"], top["1.0.0"]])
def test_events_that_start_a_workflow_have_no_parent(contract: Any) -> None:
    """For payloads of a class and of a schema."""

    @given(events(contract))
    def law(event: Any) -> None:
        assert event.type == contract.type
        assert event.raw["parentSubject$$"] is None

    law()


@pytest.mark.parametrize("kind", ["CardCharged", "CardDeclined", "SystemFault"])
def test_every_reply_that_a_contract_permits_is_drawn(kind: str) -> None:
    """Including system errors, which are part of every contract."""
    reply = find(
        replies(charge["1.0.0"]), lambda event: type(event.data).__name__ == kind, settings=MANY
    )

    assert reply.parentid is not None


@given(st.data())
def test_a_reply_refers_to_its_request(data: st.DataObject) -> None:
    """A workflow matches it by the request's id."""
    request = data.draw(events(charge["1.0.0"]))

    reply = data.draw(replies(charge["1.0.0"], request))

    assert (reply.parentid, reply.subject) == (request.id, request.subject)
    assert reply.to == (request.redirectto or request.source)
    assert reply.type in (*charge["1.0.0"].emitted, charge.system_error_type)


@given(st.data(), behaviours(charge["1.0.0"]))
def test_a_behaviour_gives_the_same_reply_to_the_same_request(
    data: st.DataObject, behave: Any
) -> None:
    """Delivering a request twice has the effect of one reply."""
    request = data.draw(events(charge["1.0.0"]))

    assert behave(request) == behave(request)
    assert behave(request).parentid == request.id


def test_a_behaviour_shrinks_to_the_first_answer_of_the_contract() -> None:
    """A shrunk counterexample contains only the answers that it needs."""
    smallest = find(behaviours(charge["1.0.0"]), lambda _: True)

    assert [answer.payload for answer in smallest.answers] == [CardCharged("")]


def test_a_behaviour_can_have_different_answers() -> None:
    """A service that fails the first time may succeed the second time."""

    def mixed(behave: Any) -> bool:
        return {type(answer.payload) for answer in behave.answers} >= {CardCharged, SystemFault}

    assert mixed(find(behaviours(charge["1.0.0"]), mixed, settings=MANY))


def test_a_schema_without_valid_values_is_unsatisfiable() -> None:
    """The contract contradicts itself, and Hypothesis reports it."""
    impossible = _object_with({"type": "integer", "minimum": 2, "maximum": 1})

    with pytest.raises(Unsatisfiable):
        find(payloads(impossible), lambda _: True)


def test_a_child_replies_on_the_subject_of_its_parent() -> None:
    """As a child workflow does in production."""
    child = OrchestratorContract(
        uri="#/child", name="a.child", versions={"1.0.0": Workflow(init=Newer, complete=Newer)}
    )
    parent = order["1.0.0"].init(PlaceOrder("o1"), source="com.web.shop").subject
    request = child["1.0.0"].init(Newer(1), source="com.web.shop", parent=parent)

    reply = find(replies(child["1.0.0"], request), lambda event: isinstance(event.data, Newer))

    assert (reply.subject, reply.parentid) == (parent, request.id)
