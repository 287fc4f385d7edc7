"""Schema: the exported JSON Schema of a payload class."""

import enum
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar
from uuid import UUID

import attrs
import orjson
import pytest
from annotated_types import Ge, Len, MinLen, Predicate, doc
from attrs import Factory, define, field, frozen
from jsonschema_rs import Draft202012Validator
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from arvo.core.payloads.schema import class_schema
from arvo.core.payloads.types.classes import PayloadError
from arvo.core.payloads.types.constraint import Format

OrderId = NewType("OrderId", str)
Email = Annotated[str, Format("email")]


class Tier(enum.Enum):
    """The kind of a customer."""

    GOLD = "gold"
    SILVER = "silver"


class Level(enum.IntEnum):
    """The urgency of a task."""

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
    """Return the schema of a field of the type *kind*."""
    cls = attrs.make_class("One", {"it": field(type=kind, **options)}, frozen=True)
    schema: dict[str, Any] = class_schema(cls).exported["properties"]["it"]
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
    """Other languages generate code from the schema."""
    assert one(kind) == expected


@pytest.mark.parametrize("kind", [time, timedelta, Decimal, bytes])
def test_scalars_without_a_suitable_format_are_strings_with_a_pattern(kind: type) -> None:
    """The formats of JSON Schema refuse some of the values that Python has."""
    schema = one(kind)

    assert schema["type"] == "string"
    Draft202012Validator(schema)
    assert "pattern" in schema


def test_a_class_exports_its_name_docstring_and_fields() -> None:
    """The docstring of the class is the description for other languages, too."""
    assert class_schema(Line).exported == {
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
    """Trees are valid payloads."""
    node = {"$ref": "#/$defs/Node"}
    tree = {
        "type": "object",
        "properties": {
            "children": {"type": "array", "items": node, "default": []},
            "next": {"anyOf": [node, {"type": "null"}], "default": None},
        },
    }

    assert class_schema(Node).exported == {"title": "Node", **tree, "$defs": {"Node": tree}}


def test_two_classes_of_one_name_do_not_collide() -> None:
    """Classes of different modules may share a name."""
    first = attrs.make_class("Line", {"a": field(type=int)}, frozen=True)
    both = attrs.make_class(
        "Both", {"x": field(type=Line), "y": field(type=first), "z": field(type=Line)}, frozen=True
    )

    schema = class_schema(both).exported

    assert list(schema["$defs"]) == ["Line", "Line_2"]
    assert schema["properties"]["y"] == {"$ref": "#/$defs/Line_2"}
    assert schema["properties"]["x"] == schema["properties"]["z"] == {"$ref": "#/$defs/Line"}


def test_a_union_of_classes_requires_the_discriminator() -> None:
    """It has a default in Python, but data without it would fit every class."""
    assert one(Card | Cash) == {
        "anyOf": [
            {"$ref": "#/$defs/Card", "required": ["kind"]},
            {"$ref": "#/$defs/Cash", "required": ["kind"]},
        ]
    }


def test_the_wire_name_is_the_name_in_the_constructor() -> None:
    """One rule for aliases and private names."""

    @frozen
    class Renamed:
        order_id: str = field(alias="orderId")
        _secret: int = 3

    assert list(class_schema(Renamed).exported["properties"]) == ["orderId", "secret"]


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
def test_a_default_is_exported_as_json(
    kind: Any, options: dict[str, Any], expected: object
) -> None:
    """A sender that omits a key knows its value."""
    assert one(kind, **options)["default"] == expected


def test_a_computed_default_is_not_exported() -> None:
    """A clock would export another default each time."""
    assert "default" not in one(float, default=Factory(lambda: 1.0))
    assert "default" not in one(float, default=float("nan"))


def test_a_default_of_a_field_with_a_converter_is_not_exported() -> None:
    """The converter may change it, and only Python knows how."""
    schema = one(str, default=5, converter=str)

    assert schema == {"type": "string"}


@pytest.mark.parametrize(
    ("kind", "default", "message"),
    [
        (str, None, "One.it: its default None does not fit: expected a string"),
        (Annotated[int, Ge(1)], 0, "One.it: its default 0 does not fit: expected at least 1"),
        (Tier, "gold", "One.it: its default 'gold' does not fit: expected Tier"),
        (Line, Line(""), "does not fit: expected at least 1 character"),
        (datetime, datetime(2026, 1, 1), "expected a date and time with an offset"),  # noqa: DTZ001
    ],
)
def test_an_invalid_default_is_refused(kind: Any, default: Any, message: str) -> None:
    """Otherwise every event that relies on it would be refused."""
    with pytest.raises(PayloadError, match=message):
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
    """Members can be combined to values that are not members."""

    A = 1


class Fractions(enum.Enum):
    """A value that an enum in JSON Schema should not have."""

    A = 1.5


Deep: Any = int
for _ in range(50):
    Deep = list[Deep]


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Plain, "Plain: not a payload class: declare it with attrs.frozen, @dataclass"),
        (
            Mutable,
            "Mutable: a payload must be immutable, but this class is not: declare it with",
        ),
        (Missing, "Missing: an annotation cannot be resolved .*Nowhere"),
        (Box, "Box.it: ~T is a type variable: give the class its types, such as Page"),
        (Ring, "Ring → Gnir → Ring: each requires the next, without end"),
        (Untyped, "Untyped.x: has no type: annotate it"),
        (3, "3: not a payload class: declare it with attrs.frozen"),
    ],
)
def test_a_class_that_cannot_be_a_payload_is_refused(cls: Any, message: str) -> None:
    """The error comes at declaration and not with the first event."""
    with pytest.raises(PayloadError, match=message):
        class_schema(cls)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Card | Line, "One.it: Card | Line: a reader cannot distinguish these classes.*Literal"),
        (datetime | str, "One.it: .*two of its types are strings in JSON"),
        (list[int] | tuple[str, ...], "two of its types are arrays"),
        (dict[str, int] | Line, "two of its types are objects"),
        (Any | None, "one is Any, so a reader cannot distinguish them"),
        (complex, "One.it: complex has no form in JSON: use str"),
        (object, "object has no form"),
        (Mode, "Mode has no form"),
        (Fractions, "Fractions: its values must be str, int, bool or None"),
        (dict[int, str], "its keys are int, but JSON keys are strings: use str"),
        (Mutable, "Mutable: a payload must be immutable"),
        (
            Annotated[Decimal, Ge(0)],
            r"One.it: Ge\(ge=0\) applies to integer or number, not to this type",
        ),
        (Annotated[datetime, MinLen(1)], "applies to array or object or string, not to"),
        (Annotated[str, Predicate(str.isupper)], "no keyword in JSON Schema"),
        (Deep, "nests deeper than 32"),
    ],
)
def test_a_type_without_a_schema_is_refused(kind: Any, message: str) -> None:
    """The message names the class, the field, the type and the alternatives."""
    with pytest.raises(PayloadError, match=message):
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
def test_a_schema_accepts_the_same_data_as_pydantic(kind: Any, values: list[object]) -> None:
    """pydantic is the oracle, in strict mode and with the same annotation."""
    model: type[BaseModel] = create_model(
        "Model", __config__=ConfigDict(strict=True), it=(kind, ...)
    )
    validator = Draft202012Validator(one(kind), validate_formats=True)

    for value in values:
        is_valid = validator.is_valid(value)
        assert is_valid is (_accepts(model, value) or (kind is int and value == 2.0)), value


def _accepts(model: type[BaseModel], value: object) -> bool:
    try:
        model.model_validate_json(orjson.dumps({"it": value}))
    except ValidationError:
        return False
    return True
