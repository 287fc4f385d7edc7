"""Tests of reading and writing payload classes of each kind."""

import dataclasses
import pickle
from copy import deepcopy
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar

import pytest
from annotated_types import Ge, Len
from attrs import frozen

from arvo.core.payloads.codec import codec_of
from arvo.core.payloads.frozen_json import FrozenDict, FrozenRecord
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.field import Alias
from arvo.core.violations.issue import Issues

T = TypeVar("T")


class Line(NamedTuple):
    sku: Annotated[str, Len(3, 3)]
    amount: Annotated[int, Ge(1)] = 1


@dataclasses.dataclass(frozen=True)
class Address:
    street: str
    since: date | None = None


class Order(TypedDict, total=False):
    id: str
    sender: Annotated[Address, Alias("from")]
    lines: tuple[Line, ...]
    total: Decimal


@frozen
class Page(Generic[T]):
    items: tuple[T, ...]


class Card(TypedDict):
    kind: Literal["card"]
    number: str


class Plain(TypedDict):
    sender: Annotated[str, Alias("from")]
    size: int


class Cash(TypedDict):
    kind: Literal["cash"]
    paid: bool


@frozen
class Payment:
    by: Card | Cash
    pages: Page[Literal["a"]] | None = None


ORDER: Order = {
    "id": "o-1",
    "sender": Address("High Street", date(2026, 1, 2)),
    "lines": (Line("abc"), Line("def", 2)),
    "total": Decimal("12.50"),
}
ORDER_JSON = {
    "id": "o-1",
    "from": {"street": "High Street", "since": "2026-01-02"},
    "lines": [{"sku": "abc", "amount": 1}, {"sku": "def", "amount": 2}],
    "total": "12.50",
}


@pytest.mark.parametrize(
    ("kind", "value", "json"),
    [
        (Order, ORDER, ORDER_JSON),
        (Order, {"id": "o-1"}, {"id": "o-1"}),
        (Page[Line], Page((Line("abc", 2),)), {"items": [{"sku": "abc", "amount": 2}]}),
        (Page[Page[int]], Page((Page((1,)),)), {"items": [{"items": [1]}]}),
        (Address, Address("x"), {"street": "x", "since": None}),
        (
            Payment,
            Payment({"kind": "cash", "paid": True}, Page(("a",))),
            {"by": {"kind": "cash", "paid": True}, "pages": {"items": ["a"]}},
        ),
    ],
)
def test_classes_of_all_kinds_may_contain_each_other(kind: Any, value: Any, json: Any) -> None:
    """A payload that exists is taken as it is."""
    payload: Payload[Any] = Payload.of(kind)

    assert payload.write(value) == json
    assert payload.read(json) == value
    assert payload.write(json) == json


@pytest.mark.parametrize(
    ("kind", "data", "issues"),
    [
        (
            Order,
            {"lines": [{"sku": "ab", "amount": 0}], "from": {"street": 1}},
            "data.lines[0].amount: expected at least 1, got 0; data.lines[0].sku: expected",
        ),
        (
            Page[Line],
            {"items": [{}]},
            "data.items[0].sku: expected a value (required), got nothing",
        ),
        (Address, {"street": "x", "since": "2026-02-30"}, "data.since: expected a date, got"),
        (Payment, {"by": {"kind": "cash"}}, "data.by.paid: expected a value (required)"),
    ],
)
def test_a_violation_names_the_path_in_the_data(kind: Any, data: Any, issues: str) -> None:
    """By the keys of the wire, which the sender knows."""
    assert issues in str(Payload.of(kind).read(data))


def test_what_the_constructor_refuses_has_the_path_of_its_class() -> None:
    """A check that JSON Schema cannot express is the class's own."""

    @dataclasses.dataclass(frozen=True)
    class Even:
        it: int

        def __post_init__(self) -> None:
            if self.it % 2:
                raise ValueError("odd")

    payload: Payload[Any] = Payload.of(Page[Even])

    assert str(payload.read({"items": [{"it": 2}, {"it": 3}]})) == (
        "data.items[1]: expected a value that Even accepts (odd), got {'it': 3}"
    )


def test_a_record_is_immutable() -> None:
    """As all data of events."""
    order = Payload.of(Order).read(ORDER_JSON)

    assert type(order) is FrozenRecord
    with pytest.raises(TypeError, match="cannot be changed"):
        order["id"] = "o-2"
    assert pickle.loads(pickle.dumps(order)) == deepcopy(order) == order  # noqa: S301  # our own
    assert Payload.of(Order).write(order) == ORDER_JSON


def test_a_record_is_not_taken_for_checked_json() -> None:
    """Its values are those of its types, such as a Decimal."""
    order = Payload.of(Order).read(ORDER_JSON)

    assert "data.total: expected JSON data" in str(Payload.of({"type": "object"}).write(order))


@pytest.mark.parametrize("make", [dict, FrozenDict])
def test_the_keys_of_the_wire_are_not_lost_where_all_are_optional(make: Any) -> None:
    """A dict may be an instance of the class, or its JSON."""
    payload: Payload[Any] = Payload.of(Order)

    assert payload.write(make({"from": {"street": "x"}})) == {
        "from": {"street": "x", "since": None}
    }


def test_a_record_that_is_neither_instance_nor_json_is_refused_as_an_instance() -> None:
    """Its author sees the types of the class."""
    written = Payload.of(Order).write({"total": Decimal("NaN"), "id": 3})

    assert isinstance(written, Issues)
    assert "data.total: expected a decimal number as a string" in str(written)


def test_a_subclass_is_refused() -> None:
    """Its additional fields would be lost."""

    @dataclasses.dataclass(frozen=True)
    class Longer(Address):
        amountry: str = "x"

    assert isinstance(Payload.of(Address).write(Longer("x")), Issues)


@pytest.mark.parametrize("kind", [Line, Page[Line], Plain, Page[str]])
def test_plain_classes_of_each_kind_have_a_codec(kind: Any) -> None:
    """They are read and written in one pass."""
    assert codec_of(kind) is not None


@pytest.mark.parametrize(
    ("kind", "title", "description"),
    [(Address, "Address", None), (Line, "Line", None), (Page[Line], "Page[Line]", None)],
)
def test_the_schema_has_no_docstring_that_python_wrote(
    kind: Any, title: str, description: str | None
) -> None:
    """The signature of a constructor says nothing to another service."""
    schema = Payload.of(kind).schema

    assert (schema["title"], schema.get("description")) == (title, description)


def test_the_schema_refers_to_generic_classes_by_names_without_brackets() -> None:
    """A reference is a URI."""
    schema = Payload.of(Page[Page[dict[str, int]]]).schema

    assert schema["properties"]["items"]["items"] == {"$ref": "#/$defs/Page_dict_str_int"}


def test_payloads_of_generic_classes_are_equal_if_their_types_are() -> None:
    """Two versions of a contract may be compared."""
    assert Payload.of(Page[int]) == Payload.of(Page[int])
    assert Payload.of(Page[int]) != Payload.of(Page[str])
    assert pickle.loads(pickle.dumps(Payload.of(Page[int]))) == Payload.of(Page[int])  # noqa: S301  # our own
