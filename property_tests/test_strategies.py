"""Laws of the strategies: everything that a contract permits can come, nothing else does."""

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Interval, Len, MultipleOf
from attrs import field, frozen
from hypothesis import find, given
from hypothesis import settings as budget
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

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
from arvo.core.payloads.constraint import FORMATS
from arvo.testing import behaviours, events, payloads, replies
from property_tests.test_payloads import payloads as classes
from tests.family import top
from tests.shop import CardCharged, ChargeCard, PlaceOrder, charge, order

# Enough to meet each of a dozen values.
MANY = budget(max_examples=2_000, deadline=None, database=None, derandomize=True)


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
def test_every_drawn_value_is_valid_whatever_the_class(
    data: st.DataObject, drawn: tuple[type, Any]
) -> None:
    """A failing law must be the handler's fault, never the kit's."""
    cls, _ = drawn

    value = data.draw(payloads(cls))

    assert type(value) is cls
    assert isinstance(Payload.of(cls).write(value), dict)


@given(st.data(), classes())
def test_every_drawn_value_is_valid_whatever_the_schema(
    data: st.DataObject, drawn: tuple[type, Any]
) -> None:
    """Contracts that come from elsewhere are schemas alone."""
    payload = Payload.of(Payload.of(drawn[0]).schema)

    value = data.draw(payloads(payload))

    assert payload.read(value) == value


@given(payloads(Basket))
def test_constraints_of_fields_and_of_the_class_itself_hold(basket: Basket) -> None:
    """Bounds, patterns and formats are aimed at; what only Python knows is filtered."""
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
def test_every_value_of_a_small_schema_can_come(word: object, on: object, number: object) -> None:
    """A law that never sees a value says nothing of it."""
    wanted = {"word": word, "on": on, "number": number}

    assert find(payloads(WORDS), lambda value: dict(value) == wanted, settings=MANY) == wanted


def _holding(schema: dict[str, Any]) -> dict[str, Any]:
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
    """Schemas of other services use words that our classes do not."""
    payload = Payload.of(_holding(schema))

    assert isinstance(payload.read(data.draw(payloads(payload))), dict)


@given(st.data(), st.sampled_from(sorted(FORMATS)))
def test_every_format_is_drawn_as_it_is_checked(data: st.DataObject, name: str) -> None:
    """A format that draws nothing valid would hang whoever uses it."""
    payload = Payload.of(_holding({"type": "string", "format": name}))

    assert isinstance(payload.read(data.draw(payloads(payload))), dict)


@given(payloads(ChargeCard, order_id=st.sampled_from(["o1", "o2"])))
def test_a_field_may_be_given_a_strategy_of_its_own(card: ChargeCard) -> None:
    """Some values exist only in a database."""
    assert card.order_id in ("o1", "o2")


def test_a_field_that_the_payload_lacks_is_refused() -> None:
    """A slip would otherwise draw what nobody wanted."""
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
def test_an_event_of_a_contract_is_one_that_its_handler_takes(event: Any) -> None:
    """Its data, and where it says to come from."""
    assert (event.type, event.dataschema) == (charge.type, charge["1.0.0"].dataschema)
    assert isinstance(charge["1.0.0"].accepted.read(event.raw), ChargeCard)


@pytest.mark.parametrize("kind", [ChargeCard, Newer])
def test_events_of_a_contract_come_in_all_its_versions(kind: type) -> None:
    """A handler answers each."""
    found = find(events(two), lambda event: isinstance(event.data, kind), settings=MANY)

    assert isinstance(found.data, kind)


@pytest.mark.parametrize("contract", [order["1.0.0"], top["1.0.0"]])
def test_events_that_begin_a_workflow_have_a_subject_of_their_own(contract: Any) -> None:
    """Whether its payload is a class or a schema."""

    @given(events(contract))
    def law(event: Any) -> None:
        assert event.type == contract.type
        assert event.raw["parentSubject$$"] is None

    law()


@pytest.mark.parametrize("kind", ["CardCharged", "CardDeclined", "SystemFault"])
def test_every_answer_that_a_contract_permits_can_come(kind: str) -> None:
    """System errors included: they are part of every contract."""
    found = find(
        replies(charge["1.0.0"]), lambda event: type(event.data).__name__ == kind, settings=MANY
    )

    assert found.parentid is not None


@given(st.data())
def test_a_reply_answers_its_request(data: st.DataObject) -> None:
    """A workflow knows it by the request's id."""
    request = data.draw(events(charge["1.0.0"]))

    reply = data.draw(replies(charge["1.0.0"], request))

    assert (reply.parentid, reply.subject) == (request.id, request.subject)
    assert reply.to == (request.redirectto or request.source)
    assert reply.type in (*charge["1.0.0"].emitted, charge.system_error_type)


@given(st.data(), behaviours(charge["1.0.0"]))
def test_a_behaviour_gives_the_same_answer_to_the_same_request(
    data: st.DataObject, behave: Any
) -> None:
    """A request that is delivered twice is answered once, in effect."""
    request = data.draw(events(charge["1.0.0"]))

    assert behave(request) == behave(request)
    assert behave(request).parentid == request.id


def test_a_behaviour_shrinks_to_one_answer_that_is_the_first_of_the_contract() -> None:
    """What is left in a counterexample is what it takes."""
    found = find(behaviours(charge["1.0.0"]), lambda _: True)

    assert [each.payload for each in found.answers] == [CardCharged("")]


def test_a_behaviour_may_change_its_mind() -> None:
    """A service that fails the first time may succeed the second."""

    def mixed(behave: Any) -> bool:
        return {type(each.payload) for each in behave.answers} >= {CardCharged, SystemFault}

    assert mixed(find(behaviours(charge["1.0.0"]), mixed, settings=MANY))


def test_what_no_value_satisfies_is_said_not_to_exist() -> None:
    """A contradiction is the contract's fault, and Hypothesis says so."""
    impossible = _holding({"type": "integer", "minimum": 2, "maximum": 1})

    with pytest.raises(Unsatisfiable):
        find(payloads(impossible), lambda _: True)


def test_a_child_answers_its_parent_on_the_parents_subject() -> None:
    """As a real child workflow does."""
    child = OrchestratorContract(
        uri="#/child", name="a.child", versions={"1.0.0": Workflow(init=Newer, complete=Newer)}
    )
    parent = order["1.0.0"].init(PlaceOrder("o1"), source="com.web.shop").subject
    request = child["1.0.0"].init(Newer(1), source="com.web.shop", parent=parent)

    reply = find(replies(child["1.0.0"], request), lambda event: isinstance(event.data, Newer))

    assert (reply.subject, reply.parentid) == (parent, request.id)
