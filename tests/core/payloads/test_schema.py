"""Schemas: what others are told about a payload class."""

import enum
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NewType, TypedDict, TypeVar
from uuid import UUID

import attrs
import orjson
import pytest
from annotated_types import Ge, Len, MinLen, Predicate, doc
from attrs import Factory, define, field, frozen
from jsonschema_rs import Draft202012Validator
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from arvo.core.payloads.constraint import Format
from arvo.core.payloads.fields import PayloadError
from arvo.core.payloads.schema import json_schema

OrderId = NewType("OrderId", str)
Email = Annotated[str, Format("email")]


class Tier(enum.Enum):
    """What kind of customer."""

    GOLD = "gold"
    SILVER = "silver"


class Level(enum.IntEnum):
    """How urgent."""

    LOW = 1
    HIGH = 2


@frozen
class Line:
    """One line of an order.

    Amounts are in euros.
    """

    sku: Annotated[str, Len(1, 20)]
    quantity: Annotated[int, Ge(1)] = 1


@frozen
class Card:
    number: str
    kind: Literal["card"] = "card"


@frozen
class Cash:
    kind: Literal["cash"] = "cash"


@frozen
class Node:
    children: "tuple[Node, ...]" = ()
    next: "Node | None" = None


def one(kind: Any, **options: Any) -> dict[str, Any]:
    """Give the schema of a field of the type *kind*."""
    cls = attrs.make_class("One", {"it": field(type=kind, **options)}, frozen=True)
    schema: dict[str, Any] = json_schema(cls)["properties"]["it"]
    return schema


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (str, {"type": "string"}),
        (bool, {"type": "boolean"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (type(None), {"type": "null"}),
        (Any, {}),
        (datetime, {"type": "string", "format": "date-time"}),
        (date, {"type": "string", "format": "date"}),
        (UUID, {"type": "string", "format": "uuid"}),
        (Tier, {"type": "string", "enum": ["gold", "silver"]}),
        (Level, {"type": "integer", "enum": [1, 2]}),
        (Literal["a", 1], {"enum": ["a", 1]}),
        (Literal["a"], {"type": "string", "const": "a"}),
        (Literal[Tier.GOLD], {"type": "string", "const": "gold"}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (list, {"type": "array"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Sequence[int], {"type": "array", "items": {"type": "integer"}}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (frozenset[int], {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
        (set[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        (
            tuple[int, str],
            {
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
                "items": False,
                "minItems": 2,
            },
        ),
        (dict, {"type": "object", "additionalProperties": {}}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (
            dict[Tier, int],
            {
                "type": "object",
                "additionalProperties": {"type": "integer"},
                "propertyNames": {"type": "string", "enum": ["gold", "silver"]},
            },
        ),
        (OrderId, {"type": "string"}),
        (Email, {"type": "string", "format": "email"}),
        (
            Annotated[list[Annotated[int, Ge(0)]], MinLen(1)],
            {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
        ),
        (
            Annotated[Annotated[int, Ge(0)], Ge(3)],
            {"type": "integer", "minimum": 0, "allOf": [{"minimum": 3}]},
        ),
        (
            Annotated[str | None, MinLen(1)],
            {"anyOf": [{"type": "string"}, {"type": "null"}], "minLength": 1},
        ),
        (Annotated[int, doc("how many")], {"type": "integer", "description": "how many"}),
    ],
)
def test_each_type_has_its_schema(kind: Any, expected: dict[str, Any]) -> None:
    """What is said here is what other languages generate their code from."""
    assert one(kind) == expected


@pytest.mark.parametrize("kind", [time, timedelta, Decimal, bytes])
def test_coded_texts_are_strings_with_a_pattern(kind: type) -> None:
    """Formats that JSON Schema has would refuse some of the values that Python has."""
    schema = one(kind)

    assert schema["type"] == "string"
    Draft202012Validator(schema)
    assert "pattern" in schema


def test_a_class_tells_its_name_doc_fields_and_which_are_required() -> None:
    """Docstrings are written once too."""
    assert json_schema(Line) == {
        "title": "Line",
        "type": "object",
        "description": "One line of an order.\n\nAmounts are in euros.",
        "properties": {
            "sku": {"type": "string", "minLength": 1, "maxLength": 20},
            "quantity": {"type": "integer", "minimum": 1, "default": 1},
        },
        "required": ["sku"],
    }


def test_a_class_may_contain_itself() -> None:
    """Trees travel too."""
    node = {"$ref": "#/$defs/Node"}
    tree = {
        "type": "object",
        "properties": {
            "children": {"type": "array", "items": node, "default": []},
            "next": {"anyOf": [node, {"type": "null"}], "default": None},
        },
    }

    assert json_schema(Node) == {"title": "Node", **tree, "$defs": {"Node": tree}}


def test_two_classes_of_one_name_do_not_collide() -> None:
    """Modules do not know each other's names."""
    first = attrs.make_class("Line", {"a": field(type=int)}, frozen=True)
    both = attrs.make_class(
        "Both", {"x": field(type=Line), "y": field(type=first), "z": field(type=Line)}, frozen=True
    )

    schema = json_schema(both)

    assert list(schema["$defs"]) == ["Line", "Line_2"]
    assert schema["properties"]["y"] == {"$ref": "#/$defs/Line_2"}
    assert schema["properties"]["x"] == schema["properties"]["z"] == {"$ref": "#/$defs/Line"}


def test_a_tagged_union_asks_for_the_tag() -> None:
    """The tag has a default in Python; on the wire its absence would fit every class."""
    assert one(Card | Cash) == {
        "anyOf": [
            {"$ref": "#/$defs/Card", "required": ["kind"]},
            {"$ref": "#/$defs/Cash", "required": ["kind"]},
        ]
    }


def test_the_wire_name_is_the_name_in_the_constructor() -> None:
    """One rule for aliases and private names: what is typed in the call stands in the event."""

    @frozen
    class Renamed:
        order_id: str = field(alias="orderId")
        _secret: int = 3

    assert list(json_schema(Renamed)["properties"]) == ["orderId", "secret"]


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        (Tier, {"default": Tier.GOLD}, "gold"),
        (timedelta, {"default": timedelta(minutes=5)}, "PT300S"),
        (Line, {"default": Line("a")}, {"sku": "a", "quantity": 1}),
        (list[int], {"factory": list}, []),
        (dict[str, int], {"factory": dict}, {}),
        (frozenset[int], {"default": frozenset({2, 1})}, [1, 2]),
    ],
)
def test_a_default_is_told_as_json(kind: Any, options: dict[str, Any], expected: object) -> None:
    """A sender who leaves a key out knows what that means."""
    assert one(kind, **options)["default"] == expected


def test_a_default_that_must_be_computed_is_not_told() -> None:
    """A clock would say another default at every export."""
    assert "default" not in one(float, default=Factory(lambda: 1.0))
    assert "default" not in one(float, default=float("nan"))


def test_a_default_behind_a_converter_is_not_told() -> None:
    """What the converter makes of it is known to Python only."""
    schema = one(str, default=5, converter=str)

    assert schema == {"type": "string"}


@pytest.mark.parametrize(
    ("kind", "default", "words"),
    [
        (str, None, "One.it: its default None does not fit: expected a string"),
        (Annotated[int, Ge(1)], 0, "One.it: its default 0 does not fit: expected at least 1"),
        (Tier, "gold", "One.it: its default 'gold' does not fit: expected Tier"),
        (Line, Line(""), "does not fit: expected at least 1 character"),
        (datetime, datetime(2026, 1, 1), "expected a date and time with an offset"),  # noqa: DTZ001
    ],
)
def test_a_default_that_does_not_fit_is_refused(kind: Any, default: Any, words: str) -> None:
    """Every event that relies on it would be refused, and the author would learn it last."""
    with pytest.raises(PayloadError, match=words):
        one(kind, default=default)


T = TypeVar("T")


@frozen
class Box(Generic[T]):
    it: T


@define
class Mutable:
    x: int


class Plain:
    x: int


class Typed(TypedDict):
    x: int


@frozen
class Missing:
    x: "Nowhere"  # type: ignore[name-defined]  # noqa: F821


@frozen
class Ring:
    other: "Gnir"


@frozen
class Gnir:
    other: Ring


@frozen
class Untyped:
    x = field()  # type: ignore[var-annotated]


class Mode(enum.Flag):
    """Members can be mixed into values that are no members."""

    A = 1


class Odd(enum.Enum):
    """A value without JSON."""

    A = 1.5


Deep: Any = int
for _ in range(50):
    Deep = list[Deep]


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (Plain, "Plain: expected an attrs class"),
        (
            Mutable,
            "Mutable: a payload never changes, and this class can: declare it with",
        ),
        (Missing, "Missing: an annotation cannot be resolved .*Nowhere"),
        (Box, "Box.it: the type variable ~T stands for no type"),
        (Ring, "Ring → Gnir → Ring: each needs the next, without end"),
        (Untyped, "Untyped.x: has no type: annotate it"),
        (3, "3: expected an attrs class"),
    ],
)
def test_a_class_that_cannot_be_a_payload_is_refused(cls: Any, words: str) -> None:
    """At definition, with the remedy: not when the first event comes."""
    with pytest.raises(PayloadError, match=words):
        json_schema(cls)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Card | Line, "One.it: Card | Line: a reader cannot tell these classes apart.*Literal"),
        (datetime | str, "One.it: .*two of its types are strings in JSON"),
        (list[int] | tuple[str, ...], "two of its types are arrays"),
        (dict[str, int] | Line, "two of its types are objects"),
        (Any | None, "Any is in it"),
        (complex, "One.it: complex has no agreed form in JSON: use str"),
        (object, "object has no agreed form"),
        (Typed, "Typed has no agreed form"),
        (Mode, "Mode has no agreed form"),
        (Odd, "Odd: its values must be str, int, bool or None"),
        (dict[int, str], "its keys are int, and JSON keys are text"),
        (Mutable, "Mutable: a payload never changes"),
        (Annotated[Decimal, Ge(0)], r"One.it: Ge\(ge=0\) bounds integer or number"),
        (Annotated[datetime, MinLen(1)], "bounds"),
        (Annotated[str, Predicate(str.isupper)], "no word in JSON Schema"),
        (Deep, "nests deeper than 32"),
    ],
)
def test_a_type_that_cannot_be_said_is_refused(kind: Any, words: str) -> None:
    """The message names class, field, type and what to write instead."""
    with pytest.raises(PayloadError, match=words):
        one(kind)


CASES: list[tuple[Any, list[object]]] = [
    (str, ["a", "", 1, None, True]),
    (int, [1, 2.0, 2.5, "1", True, None, -(2**40)]),
    (float, [1, 1.5, "1.5", True, None]),
    (bool, [True, False, 0, 1, "true"]),
    (Tier, ["gold", "bronze", 1, None]),
    (Literal["a", 1], ["a", "b", 1, 2, None]),
    (list[int], [[], [1], ["x"], "x", {}, None]),
    (tuple[int, str], [[1, "a"], [1], [1, "a", 2], ["a", 1]]),
    (dict[str, int], [{}, {"a": 1}, {"a": "x"}, []]),
    (int | None, [1, None, "x"]),
    (str | int, ["a", 1, None, []]),
    (Annotated[int, Ge(3)], [2, 3, 4, "3"]),
    (Annotated[str, Len(1, 2)], ["", "a", "ab", "abc"]),
    (Annotated[list[Annotated[int, Ge(0)]], MinLen(1)], [[], [0], [-1]]),
    (UUID, ["6f1e3c1e-3f5b-4d6e-9a51-6f1e3c1e3f5b", "x", 1]),
    (date, ["2026-01-31", "2026-02-31", "x", 3]),
    (datetime, ["2026-01-31T10:00:00Z", "2026-01-31T25:00:00Z", "x"]),
]


@pytest.mark.parametrize(("kind", "values"), CASES, ids=str)
def test_a_schema_means_what_another_library_says_the_type_means(
    kind: Any, values: list[object]
) -> None:
    """pydantic is an oracle: strict JSON reading of the same annotation accepts the same data."""
    model: type[BaseModel] = create_model(
        "Model", __config__=ConfigDict(strict=True), it=(kind, ...)
    )
    validator = Draft202012Validator(one(kind), validate_formats=True)

    for value in values:
        ours = validator.is_valid(value)
        assert ours is (_accepts(model, value) or (kind is int and value == 2.0)), value


def _accepts(model: type[BaseModel], value: object) -> bool:
    try:
        model.model_validate_json(orjson.dumps({"it": value}))
    except ValidationError:
        return False
    return True
