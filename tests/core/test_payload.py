"""Payloads: the two ways between the data of events and Python."""

import copy
import enum
import json
import pickle
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import attrs
import orjson
import pytest
from annotated_types import Ge, Len, MinLen
from attrs import field, frozen

from arvo.core.constraint import Format, Pattern
from arvo.core.fields import PayloadError
from arvo.core.issue import Issue, Issues
from arvo.core.payload import Payload

KEY = UUID("6f1e3c1e-3f5b-4d6e-9a51-6f1e3c1e3f5b")


class Tier(enum.Enum):
    GOLD = "gold"
    SILVER = "silver"


class Place(enum.StrEnum):
    HERE = "here"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@frozen
class Line:
    sku: Annotated[str, Len(1, 20)]
    amount: Annotated[float, Ge(0)]


@frozen
class Card:
    number: Annotated[str, MinLen(4)]
    kind: Literal["card"] = "card"


@frozen
class Cash:
    kind: Literal["cash"] = "cash"


@frozen
class Order:
    order_id: str
    email: Annotated[str, Format("email")]
    lines: tuple[Line, ...] = ()
    note: str | None = None
    how: Card | Cash = Cash()


@frozen
class Everything:
    """One field of each kind."""

    when: datetime = datetime(2026, 1, 31, 10, 0, 0, 5, tzinfo=UTC)
    day: date = date(2026, 1, 31)
    clock: time = time(10, 30)
    clock_there: time = time(10, 30, tzinfo=UTC)
    span: timedelta = timedelta(days=-1, seconds=5, microseconds=120)
    price: Decimal = Decimal("1.10")
    key: UUID = KEY
    blob: bytes = b"\x00\xff"
    tier: Tier = Tier.GOLD
    level: Level = Level.HIGH
    place: Place = Place.HERE
    sure: bool = False
    choice: Literal["a", 1, True] = True
    number: int | float = 2.0
    text: str | int | None = None
    pair: tuple[int, str] = (1, "a")
    none: tuple[()] = ()
    listed: Sequence[int] = (1, 2)
    items: list[Line] = field(factory=lambda: [Line("a", 1.0)])
    bag: frozenset[str] = frozenset({"b", "a"})
    many: set[Level] = field(factory=lambda: {Level.LOW})
    counts: dict[str, int] = field(factory=lambda: {"a b": 1})
    by_tier: Mapping[Tier, Decimal] = field(factory=lambda: {Tier.GOLD: Decimal(3)})
    anything: Any = None
    how: Card | Cash | None = Card("1234")
    maybe: "Everything | None" = None
    wire_name: int = field(default=1, alias="wireName")
    _private: int = 2
    computed: int = field(init=False, default=9)


def there_and_back(value: Any) -> Any:
    """Send *value* over the wire."""
    payload = Payload.of(type(value))
    written = payload.write(value)
    assert not isinstance(written, Issues), str(written)
    return payload.read(orjson.loads(orjson.dumps(written)))


def test_every_kind_of_field_comes_back_equal() -> None:
    """A handler must see what its caller sent."""
    value = Everything(maybe=Everything(anything={"a": [1, None, {"b": 2.5}]}))

    found = there_and_back(value)

    assert found == value
    # True is 1 to ==, and an IntEnum is an int.
    for each in attrs.fields(Everything):
        if each.name != "listed":
            assert type(getattr(found, each.name)) is type(getattr(value, each.name))


def test_what_is_written_is_plain_json_in_wire_names() -> None:
    """Whoever reads it has no Python."""
    written = Payload.of(Everything).write(Everything())

    assert written == {
        "when": "2026-01-31T10:00:00.000005+00:00",
        "day": "2026-01-31",
        "clock": "10:30:00",
        "clock_there": "10:30:00+00:00",
        "span": "-PT86394.99988S",
        "price": "1.10",
        "key": "6f1e3c1e-3f5b-4d6e-9a51-6f1e3c1e3f5b",
        "blob": "AP8=",
        "tier": "gold",
        "level": 2,
        "place": "here",
        "sure": False,
        "choice": True,
        "number": 2.0,
        "text": None,
        "pair": [1, "a"],
        "none": [],
        "listed": [1, 2],
        "items": [{"sku": "a", "amount": 1.0}],
        "bag": ["a", "b"],
        "many": [1],
        "counts": {"a b": 1},
        "by_tier": {"gold": "3"},
        "anything": None,
        "how": {"number": "1234", "kind": "card"},
        "maybe": None,
        "wireName": 1,
        "private": 2,
    }
    assert json.loads(json.dumps(written)) == written


def test_reading_applies_defaults_and_drops_unknown_keys() -> None:
    """B29: the handler sees parsed data, not what happened to be sent."""
    data = {
        "order_id": "o",
        "email": "a@b.de",
        "surprise": 1,
        "lines": [{"sku": "s", "amount": 2, "x": 1}],
    }

    assert Payload.of(Order).read(data) == Order("o", "a@b.de", (Line("s", 2.0),), None, Cash())


def test_a_number_without_fraction_becomes_a_float_where_one_is_declared() -> None:
    """JavaScript writes 2.0 as 2."""
    line = Payload.of(Line).read({"sku": "s", "amount": 2})

    assert isinstance(line, Line)
    assert type(line.amount) is float


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"order_id": 5}, "data.order_id: expected a string, got 5"),
        ({"email": "x"}, "data.email: expected an email address, got 'x'"),
        ({"lines": 3}, "data.lines: expected an array, got 3"),
        (
            {"lines": [{"sku": "s", "amount": 1}, {"sku": "s", "amount": "ten"}]},
            "data.lines[1].amount: expected a number, got 'ten'",
        ),
        (
            {"lines": [{"sku": "", "amount": 1}]},
            "data.lines[0].sku: expected at least 1 character, got ''",
        ),
        (
            {"lines": [{"sku": "s", "amount": -1}]},
            "data.lines[0].amount: expected at least 0, got -1",
        ),
        ({"lines": [{"amount": 1}]}, "data.lines[0].sku: expected a value (required), got nothing"),
        ({"note": 3}, "data.note: expected a string or null, got 3"),
        ({"how": {"kind": "card"}}, "data.how.number: expected a value (required), got nothing"),
        (
            {"how": {"kind": "card", "number": "1"}},
            "data.how.number: expected at least 4 characters, got '1'",
        ),
        ({"how": {"kind": "coin"}}, "data.how.kind: expected 'card' or 'cash', got 'coin'"),
        ({"how": {"number": "1234"}}, "data.how.kind: expected a value (required), got nothing"),
        ({"how": "cash"}, "data.how: expected an object, got 'cash'"),
        ({"order_id": float("nan")}, "data.order_id: expected a finite number, got nan"),
        (
            {"order_id": "\ud800"},
            "data.order_id: expected text without lone surrogates, got '\\ud800'",
        ),
        ({"x": 2**64}, "data.x: expected an integer of 64 bits, got 18446744073709551616"),
        ({"x": {1: 2}}, "data.x: expected keys that are texts, got 1"),
        ({"x": date(2026, 1, 31)}, "data.x: expected JSON data, got datetime.date(2026, 1, 31)"),
    ],
)
def test_data_that_does_not_fit_says_where_what_and_why(change: dict[str, Any], told: str) -> None:
    """The sender mends it from the message alone."""
    data = {"order_id": "o", "email": "a@b.de", **change}

    assert str(Payload.of(Order).read(data)) == told


def test_every_issue_is_told_at_once() -> None:
    """Nobody likes to mend one field per attempt."""
    assert Payload.of(Order).read({"order_id": 1, "email": 2}, "init") == Issues(
        (Issue("init.email", "a string", "2"), Issue("init.order_id", "a string", "1"))
    )


@pytest.mark.parametrize("data", [None, 3, "x", [], b"{}", object(), Order("o", "a@b.de")])
def test_what_is_no_object_is_refused(data: object) -> None:
    """The data of an event is an object, always."""
    for payload in (Payload.of(Order), Payload.of({})):
        assert isinstance(payload.read(data), Issues)


def test_data_nested_too_deep_is_refused_both_ways() -> None:
    """Every reader walks it recursively, and an attacker writes it in kilobytes."""
    deep: dict[str, Any] = {}
    for _ in range(200_000):
        deep = {"a": deep}
    payload = Payload.of({})

    for result in (payload.read(deep), payload.write(deep)):
        assert isinstance(result, Issues)
        assert result.items[0].expected == "at most 64 levels of nesting"
    while deep:
        deep = deep["a"]  # else the interpreter's own clean-up recurses


@pytest.mark.parametrize("kind", [tuple[str, ...], tuple[str, ...] | None])
def test_a_megabyte_of_bad_items_costs_no_more_than_one(kind: Any) -> None:
    """The validator would build an error for each, and a sender would keep a worker busy."""
    cls = attrs.make_class("Many", {"it": field(type=kind)}, frozen=True)
    result = Payload.of(cls).read({"it": [1] * 500_000})

    assert isinstance(result, Issues)
    assert len(result.items) == 1


class FrozenDict(dict[str, Any]):
    """Data of an event that is held in memory."""


class FrozenList(list[Any]):
    """Its lists."""


def test_data_that_is_frozen_is_read_like_any_other() -> None:
    """B30: an event's data is immutable, and its payload is read from it."""
    lines = FrozenList([FrozenDict(sku="s", amount=1.0)])
    data = FrozenDict(order_id="o", email="a@b.de", lines=lines)

    assert Payload.of(Order).read(data) == Order("o", "a@b.de", (Line("s", 1.0),))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"items": [Line("", 1.0)]}, "data.items[0].sku: expected at least 1 character, got ''"),
        ({"items": [Line(3, 1.0)]}, "data.items[0].sku: expected a string, got 3"),  # type: ignore[arg-type]
        ({"items": [Line("s", float("inf"))]}, "data.items[0].amount: expected a finite number"),
        ({"items": [Line("s", 2**60 + 1)]}, "data.items[0].amount: expected a number that a float"),
        ({"items": [{"sku": "s"}]}, "data.items[0]: expected a Line, got {'sku': 's'}"),
        ({"when": datetime(2026, 1, 31)}, "data.when: expected a date and time with an offset"),  # noqa: DTZ001
        ({"when": "2026-01-31T00:00:00Z"}, "data.when: expected a date and time with an offset"),
        ({"day": datetime(2026, 1, 31, tzinfo=UTC)}, "data.day: expected a date, got datetime"),
        ({"price": Decimal("NaN")}, "data.price: expected a decimal number as text, got Decimal"),
        ({"tier": "gold"}, "data.tier: expected Tier, got 'gold'"),
        ({"place": "here"}, "data.place: expected Place, got 'here'"),
        ({"choice": 2}, "data.choice: expected Literal['a', 1, True], got 2"),
        ({"choice": []}, "data.choice: expected Literal['a', 1, True], got []"),
        ({"pair": (1,)}, "data.pair: expected tuple[int, str], got (1,)"),
        ({"listed": "ab"}, "data.listed: expected collections.abc.Sequence[int], got 'ab'"),
        ({"how": Line("s", 1)}, "data.how: expected "),
        ({"counts": {1: 1}}, "data.counts: expected keys that are texts, got 1"),
        ({"counts": 3}, "data.counts: expected dict[str, int], got 3"),
        ({"by_tier": {"gold": 1}}, "data.by_tier: expected keys that are texts, got 'gold'"),
        ({"anything": {1}}, "data.anything: expected JSON data, got {1}"),
        ({"many": {2**70}}, "data.many[0]: expected Level, got 1180591620717411303424"),
        ({"bag": frozenset({1})}, "data.bag[0]: expected a string, got 1"),
        ({"wireName": True}, "data.wireName: expected a whole number, got True"),
    ],
)
def test_an_instance_that_has_no_true_form_is_refused(change: dict[str, Any], told: str) -> None:
    """B32: nothing changes silently on the wire."""
    written = Payload.of(Everything).write(Everything(**change))

    assert isinstance(written, Issues)
    assert str(written).startswith(told)


def test_an_instance_of_another_class_names_both() -> None:
    """Usually a service's payload was emitted under another's event type."""
    told = "data: expected an instance of Order or a mapping, got Line(sku='s', amount=1.0)"

    assert str(Payload.of(Order).write(Line("s", 1.0))) == told


@frozen
class BigLine(Line):
    discount: float = 0.0


def test_an_instance_of_a_subclass_is_refused() -> None:
    """What the subclass has more would be lost on the way."""
    assert isinstance(Payload.of(Line).write(BigLine("s", 1.0)), Issues)
    assert isinstance(Payload.of(Order).write(Order("o", "a@b.de", (BigLine("s", 1.0),))), Issues)
    assert there_and_back(BigLine("s", 1.0, 0.5)) == BigLine("s", 1.0, 0.5)


def test_a_mapping_for_a_class_is_read_first() -> None:
    """B29 on the way out: defaults are filled in and unknown keys stay here."""
    mapping = {"order_id": "o", "email": "a@b.de", "unknown": 1}

    assert Payload.of(Order).write(mapping) == Payload.of(Order).write(Order("o", "a@b.de"))


def test_a_mapping_that_does_not_fit_is_refused() -> None:
    """As an instance would be."""
    assert str(Payload.of(Line).write({"sku": "s"})) == (
        "data.amount: expected a value (required), got nothing"
    )


@frozen
class Checked:
    total: int = field(validator=attrs.validators.in_(range(10)))
    name: str = field(default="", converter=str)
    other: int = 0

    def __attrs_post_init__(self) -> None:
        if self.other > self.total:
            raise ValueError("other must not exceed total")


@frozen
class Holder:
    inner: tuple[Checked, ...]


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        (
            {"inner": [{"total": 1}, {"total": 10}]},
            "data.inner[1].total",
            "'total' must be in range(0, 10)",
        ),
        ({"inner": [{"total": 1, "other": 2}]}, "data.inner[0]", "other must not exceed total"),
    ],
)
def test_what_a_constructor_refuses_is_an_issue_where_it_stands(
    data: dict[str, Any], path: str, reason: str
) -> None:
    """Rules that JSON Schema cannot say live in validators, and are promises all the same."""
    for result in (Payload.of(Holder).read(data), Payload.of(Holder).write(data)):
        assert isinstance(result, Issues)
        assert result.items[0].path == path
        assert reason in result.items[0].expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (datetime, "2026-12-31T23:59:60Z"),
        (datetime, "0000-01-01T00:00:00Z"),
        (date, "0000-01-01"),
        (timedelta, "P99999999999D"),
        (timedelta, "P" + "9" * 5000 + "D"),
        (Decimal, "1e" + "9" * 30),
        (int, 1e300),
        (set[Any], [[1]]),
    ],
)
def test_what_python_cannot_hold_is_an_issue(kind: Any, value: object) -> None:
    """The form is right and the schema content; the type has bounds of its own."""
    cls = attrs.make_class("One", {"it": field(type=kind)}, frozen=True)
    result = Payload.of(cls).read({"it": value})

    assert isinstance(result, Issues)
    assert result.items[0].path.startswith("data.it")


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (
            datetime,
            "2026-01-31t10:00:00.123456789z",
            datetime(2026, 1, 31, 10, 0, 0, 123456, tzinfo=UTC),
        ),
        (timedelta, "P1W", timedelta(weeks=1)),
        (timedelta, "P1DT2H3M4.5S", timedelta(1, 4.5, hours=2, minutes=3)),
        (timedelta, "-PT0.000001S", timedelta(microseconds=-1)),
        (time, "10:00:00Z", time(10, tzinfo=UTC)),
        (Decimal, "-1.5E+3", Decimal(-1500)),
        (int, 3.0, 3),
        (Literal[1], 1.0, 1),
        (int | float, 2, 2),
        (float | None, 2, 2.0),
    ],
)
def test_forms_that_others_write_are_read(kind: Any, text: object, expected: object) -> None:
    """Not every sender is Python, and standards leave a choice."""
    cls: Any = attrs.make_class("One", {"it": field(type=kind)}, frozen=True)
    found: Any = Payload.of(cls).read({"it": text})

    assert found == cls(expected)
    assert type(found.it) is type(expected)


USER: dict[str, Any] = {
    "title": "User",
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "role": {"type": "string", "default": "guest"},
        "address": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "country": {"default": "DE"}},
        },
        "tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}},
        "extra": {"type": "object"},
        "counts": {"type": "object", "properties": {}, "additionalProperties": {"type": "integer"}},
    },
    "required": ["name"],
    "$defs": {"Tag": {"properties": {"key": {"type": "string"}, "weight": {"default": 1}}}},
}


def test_a_json_schema_fills_defaults_and_drops_unknown_keys_at_every_depth() -> None:
    """Its contracts come from systems that do the same, with Zod."""
    data = {
        "name": "n",
        "unknown": 1,
        "address": {"city": "B", "zip": 1},
        "tags": [{"key": "k", "x": 1}],
        "extra": {"kept": [{"all": 1}]},
        "counts": {"any": 1},
    }
    expected = {
        "name": "n",
        "role": "guest",
        "address": {"city": "B", "country": "DE"},
        "tags": [{"key": "k", "weight": 1}],
        "extra": {"kept": [{"all": 1}]},
        "counts": {"any": 1},
    }

    assert Payload.of(USER).read(data) == expected
    assert Payload.of(USER).write(data) == expected
    assert "unknown" in data


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "objekt"},
        {"properties": 3},
        {"properties": {"a": {"pattern": "("}}},
        {"$ref": "#/$defs/nowhere"},
        {"$ref": "https://example.com/schema.json"},
        {"properties": {"a": {"default": float("nan")}}},
    ],
)
def test_what_is_no_schema_for_an_object_is_refused(schema: dict[str, Any]) -> None:
    """At definition, without opening a connection."""
    with pytest.raises(PayloadError, match=r"schema|JSON Schema"):
        Payload.of(schema)


def test_what_is_neither_class_nor_schema_is_refused() -> None:
    """A string, say, where a class was meant."""
    with pytest.raises(PayloadError, match="expected an attrs class or a JSON Schema, got 'Order'"):
        Payload.of("Order")  # type: ignore[call-overload]


BESIDE = {"parentSubject$$": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}]}}


def test_keys_beside_the_class_are_checked_and_not_seen_by_it() -> None:
    """The protocol puts its parent's subject beside a workflow's own data."""
    payload = Payload.of(Line, BESIDE)
    data = {"sku": "s", "amount": 1.0, "parentSubject$$": None}

    assert payload.write(Line("s", 1.0), {"parentSubject$$": None}) == data
    assert payload.write(data) == data
    assert payload.read(data) == Line("s", 1.0)
    assert payload.schema["required"] == ["sku", "amount", "parentSubject$$"]
    assert str(payload.read({"sku": "s", "amount": 1.0})) == (
        "data.parentSubject$$: expected a value (required), got nothing"
    )
    assert isinstance(payload.write(Line("s", 1.0), {"parentSubject$$": ""}), Issues)
    assert isinstance(payload.write(Line("s", 1.0)), Issues)


def test_keys_beside_a_json_schema_are_kept() -> None:
    """There they are part of what the contract says."""
    payload = Payload.of({"properties": {"a": {}}, "required": ["a"]}, BESIDE)
    data = {"a": 1, "parentSubject$$": "s"}

    assert payload.read(data | {"x": 1}) == data
    assert payload.write({"a": 1, "x": 1}, {"parentSubject$$": "s"}) == data
    assert isinstance(payload.read({"a": 1}), Issues)


def test_a_field_named_like_a_key_of_the_protocol_is_refused() -> None:
    """One of the two would be lost."""
    with pytest.raises(PayloadError, match=r"Line\.sku: the protocol has a key of this name"):
        Payload.of(Line, {"sku": {}})


def test_payloads_are_equal_by_class_and_schema() -> None:
    """Contracts compare by what they promise."""
    assert Payload.of(Line) is Payload.of(Line)
    assert Payload.of(Payload.of(Line)) is Payload.of(Line)
    assert Payload.of(Line, BESIDE) != Payload.of(Line)
    assert Payload.of(Payload.of(Line), BESIDE) == Payload.of(Line, BESIDE)
    assert Payload.of({"type": "object", "title": "a"}) == Payload.of(
        {"title": "a", "type": "object"}
    )
    assert Payload.of({"title": "a"}) != Payload.of({"title": "b"})
    assert Payload.of(Payload.of(Line).schema) != Payload.of(Line)
    assert len({Payload.of(Line), Payload.of(Line, BESIDE), Payload.of({}), Payload.of({})}) == 3


@pytest.mark.parametrize(
    "payload",
    [Payload.of(Line), Payload.of(Line, BESIDE), Payload.of(USER), Payload.of(USER, BESIDE)],
)
def test_a_payload_survives_copying_and_pickling(payload: Payload[Any]) -> None:
    """Contracts are values, and values travel to worker processes."""
    assert pickle.loads(pickle.dumps(payload)) == payload  # noqa: S301
    assert copy.deepcopy(payload) == payload


def test_nobody_can_change_a_payload() -> None:
    """A changed schema would change what an old promise meant."""
    source = {"properties": {"a": {"type": "integer"}}}
    payload = Payload.of(source)

    payload.schema["properties"]["a"]["type"] = "string"
    source["properties"]["a"]["type"] = "string"

    assert payload.schema == {"properties": {"a": {"type": "integer"}}}
    assert isinstance(payload.read({"a": "x"}), Issues)


def test_a_json_schema_read_back_shares_nothing_with_what_was_given() -> None:
    """B30: nobody changes an event's data through a reference he kept."""
    data = {"a": {"b": [1]}}
    found = Payload.of({}).read(data)
    data["a"]["b"].append(2)

    assert found == {"a": {"b": [1]}}


def test_the_order_of_a_set_is_the_same_in_every_process() -> None:
    """The same step twice must make the same bytes, and hash seeds differ."""
    written = Payload.of(Everything).write(Everything(bag=frozenset("hgfedcba")))

    assert isinstance(written, dict)
    assert written["bag"] == list("abcdefgh")


@frozen
class Named:
    code: Annotated[str, Pattern("^[A-Z]{2}$")]
    level: Level | None = None


def test_text_of_a_subclass_is_written_as_text() -> None:
    """A StrEnum is a string to Python, and JSON knows only strings."""

    class Code(enum.StrEnum):
        DE = "DE"

    written = Payload.of(Named).write(Named(Code.DE))

    assert written == {"code": "DE", "level": None}
    assert isinstance(written, dict)
    assert type(written["code"]) is str
