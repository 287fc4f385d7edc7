"""Tests of payloads that are models of pydantic."""

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

import pytest
from attrs import frozen
from hypothesis import find
from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator

import arvo.pydantic  # noqa: F401  # it registers the adapter
from arvo import (
    Emit,
    Event,
    EventHandler,
    Flow,
    OrchestratorContract,
    Payload,
    SimpleContract,
    System,
    Version,
    Workflow,
    ask,
    run,
    service,
    workflow,
)
from arvo.testing import check_handler, compatible, payloads

T = TypeVar("T")


class Line(BaseModel):
    sku: str = Field(min_length=3)
    amount: int = 1


class Order(BaseModel):
    """An order of a customer."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(alias="orderId")
    lines: list[Line]
    at: datetime | None = None
    total: Decimal = Decimal(1)
    note: int | Line | None = None

    @field_validator("total")
    @classmethod
    def _not_negative(cls, value: Decimal) -> Decimal:
        if value < 0:
            raise ValueError("must not be negative")
        return value


class Tree(BaseModel):
    name: str
    inner: list["Tree"] = []


class Page(BaseModel, Generic[T]):
    items: list[T]


class Card(BaseModel):
    kind: Literal["card"] = "card"


class Cash(BaseModel):
    kind: Literal["cash"] = "cash"


@frozen
class Cart:
    order: Order
    paid: Card | Cash
    extra: tuple[Line, ...] = ()


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    at: datetime
    sizes: tuple[int, ...]


ORDER = Order(orderId="o-1", lines=[Line(sku="abc")], at=datetime(2026, 1, 2))  # noqa: DTZ001
ORDER_JSON: dict[str, Any] = {
    "orderId": "o-1",
    "lines": [{"sku": "abc", "amount": 1}],
    "at": "2026-01-02T00:00:00",
    "total": "1",
    "note": None,
}


@pytest.mark.parametrize(
    ("kind", "value", "json"),
    [
        (Order, ORDER, ORDER_JSON),
        (
            Tree,
            Tree(name="a", inner=[Tree(name="b")]),
            {"name": "a", "inner": [{"name": "b", "inner": []}]},
        ),
        (Page[Line], Page[Line](items=[Line(sku="abc")]), {"items": [ORDER_JSON["lines"][0]]}),
        (
            Cart,
            Cart(ORDER, Cash()),
            {"order": ORDER_JSON, "paid": {"kind": "cash"}, "extra": []},
        ),
        (
            Strict,
            Strict(at=datetime(2026, 1, 2), sizes=(1,)),  # noqa: DTZ001
            {"at": "2026-01-02T00:00:00", "sizes": [1]},
        ),
    ],
)
def test_a_model_is_written_and_read_by_pydantic(kind: Any, value: Any, json: Any) -> None:
    """Also where it is inside a class of another kind, and where it is strict."""
    payload: Payload[Any] = Payload.of(kind)

    assert payload.write(value) == json
    assert payload.read(json) == value
    assert payload.write(json) == json


def test_the_schema_is_that_of_pydantic() -> None:
    """A service in another language reads it."""
    assert Payload.of(Order).schema == Order.model_json_schema()
    inside = Payload.of(Cart).schema["$defs"]["Order"]
    assert inside["properties"]["lines"]["items"] == {"$ref": "#/$defs/Order/$defs/Line"}
    assert Payload.of(Payload.of(Cart).schema).read(
        {"order": {**ORDER_JSON, "at": None}, "paid": {"kind": "card"}}
    ) == {"order": {**ORDER_JSON, "at": None}, "paid": {"kind": "card"}, "extra": []}


def test_a_violation_names_the_keys_of_the_data() -> None:
    """Pydantic's own path also names the members of unions, which the sender does not know."""
    data = {
        "lines": [{"sku": "ab"}, {"amount": [1]}],
        "note": {"sku": 3},
        "total": -1,
        "colour": "red",
    }

    issues = Payload.of(Cart).read({"order": data, "paid": {"kind": "card"}})

    assert sorted(str(issues).replace(" (Value error", "").split("; ")) == [
        "data.order.colour: expected no such key, got 'red'",
        "data.order.lines[0].sku: expected at least 3 characters, got 'ab'",
        "data.order.lines[1].amount: expected a valid integer, got [1]",
        "data.order.lines[1].sku: expected a value (required), got nothing",
        "data.order.note.sku: expected a valid string, got 3",
        "data.order.note: expected a valid integer, got {'sku': 3}",
        "data.order.orderId: expected a value (required), got nothing",
        "data.order.total: expected a value that the model accepts, must not be negative), got -1",
    ]


def _changed() -> Order:
    order = ORDER.model_copy(deep=True)
    order.lines.append("line")  # type: ignore[arg-type]
    return order


@pytest.mark.parametrize(
    ("make", "issue"),
    [
        (_changed, "data.lines[1]: expected an object or an instance of Line, got 'line'"),
        (lambda: Order.model_construct(orderId=3), "data"),
        (lambda: Ratio(it=float("inf")), "data.it: expected a valid number, got None"),
        (lambda: Wrong(it=1), "data.other: expected a value (required), got nothing"),
    ],
)
def test_an_instance_that_its_reader_would_refuse_is_not_sent(
    make: Callable[[], BaseModel], issue: str
) -> None:
    """A model can change after its checks, and write other keys than it reads."""
    value = make()

    assert str(Payload.of(type(value)).write(value)).startswith(issue.partition(" or an")[0])


class Ratio(BaseModel):
    it: float


class Wrong(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    it: int = Field(validation_alias="other", serialization_alias="third")


class Numbers(RootModel[list[int]]):
    pass


class Function(BaseModel):
    it: Callable[[], int]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Numbers, "Numbers: a payload is an object in JSON, but this model is array: make it a"),
        (Function, "Function: pydantic has no JSON Schema of it"),
    ],
)
def test_a_model_that_is_no_payload_is_refused(kind: Any, message: str) -> None:
    """When the contract is made, and not with the first event."""
    with pytest.raises(TypeError, match=message):
        Payload.of(kind)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("Ping", "Ping: not a payload class: import arvo.pydantic"),
        ("Outer", "Outer.ping: Ping has no form in JSON: import arvo.pydantic"),
    ],
)
def test_without_the_import_the_message_names_it(kind: str, message: str) -> None:
    """The library does not import pydantic, which takes long."""
    script = (
        "import sys, arvo\n"
        "assert 'pydantic' not in sys.modules\n"
        "from typing import NamedTuple\n"
        "from pydantic import BaseModel\n"
        "class Ping(BaseModel): pass\n"
        "class Outer(NamedTuple): ping: Ping\n"
        f"arvo.Payload.of({kind})"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert message in ended.stderr


price = SimpleContract(
    uri="#/price", type="shop.price", versions={"1.0.0": Version(accepts=Order, emits=Line)}
)


def _price(event: Event[Order]) -> Emit:
    return Emit(event.data.lines[0])


def test_a_handler_takes_and_emits_models() -> None:
    """The payload of an event is the model."""
    handler = EventHandler(price, {"1.0.0": _price})
    [answer] = run(
        System([handler]), price["1.0.0"].accepts(ORDER, source="com.front.desk")
    ).answers

    assert answer.data == Line(sku="abc")


@service("com.page.first")
def first(request: Page[Line]) -> Line:
    """Answer with the first of the lines."""
    return request.items[0] if request.items else Line(sku="none")


@workflow("page.read", services=[first])
def read(request: Tree) -> Flow[Line]:
    """Ask for the first of one line."""
    line = yield from ask(first, Page[Line](items=[Line(sku=request.name * 3)]))
    return line


def test_a_workflow_and_a_service_take_models() -> None:
    """The key of the parent belongs to the protocol, and a model would refuse it."""
    begun = read.contract["1.0.0"].init(Tree(name="a"), source="com.front.desk")

    trace = run(System([read, first]), begun)

    assert trace.answer is not None
    assert trace.answer.data == Line(sku="aaa")
    strict = OrchestratorContract(
        uri="#/order", name="order.place", versions={"1.0.0": Workflow(init=Order, complete=Line)}
    )
    event = strict["1.0.0"].init(ORDER, source="com.front.desk")
    assert event.raw == {**ORDER_JSON, "parentSubject$$": None}
    assert strict["1.0.0"].accepted.read(event.raw) == ORDER


def test_instances_are_drawn() -> None:
    """The laws of handlers need them."""
    assert check_handler(first).tried
    assert find(payloads(Line), lambda line: line.amount > 3).amount == 4


def test_contracts_of_models_are_compared() -> None:
    """By the schema that pydantic exports."""
    assert compatible(price, price)
