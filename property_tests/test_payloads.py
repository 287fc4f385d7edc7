"""Laws of payloads, for all classes, instances and data."""

import dataclasses
import enum
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NotRequired,
    TypedDict,
    TypeVar,
    Union,
)
from uuid import UUID

import attrs
import orjson
import pytest
from annotated_types import Ge, Interval, Len, MaxLen
from attrs import frozen
from hypothesis import assume, given
from hypothesis import strategies as st

from arvo.core.payloads.codec import codec_of
from arvo.core.payloads.converter import converter
from arvo.core.payloads.json_data import freeze_object
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.constraint import Format
from arvo.core.payloads.types.field import Alias
from arvo.core.payloads.types.fields import fields_of
from arvo.core.violations.issue import GOT_CHARACTERS_MAX, Issues


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    NONE = 0
    SOME = 1


class Location(enum.StrEnum):
    HERE = "here"


@frozen
class Cat:
    lives: int
    kind: Literal["cat"] = "cat"


@frozen
class Dog:
    name: str
    kind: Literal["dog", "puppy"] = "dog"


@frozen
class Point:
    x: float
    labels: "tuple[str, ...]" = ()


@frozen
class Tree:
    value: int
    children: "tuple[Tree, ...]" = ()


STRINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INTEGERS = st.integers(-(2**63), 2**64 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
ZONES = st.builds(timezone, st.integers(-1439, 1439).map(lambda n: timedelta(minutes=n)))
DATETIMES = st.datetimes(timezones=st.one_of(st.just(UTC), ZONES))
TREES: st.SearchStrategy[Tree] = st.recursive(
    st.builds(Tree, INTEGERS),
    lambda inner: st.builds(Tree, INTEGERS, st.lists(inner, max_size=2).map(tuple)),
    max_leaves=5,
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | STRINGS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=8,
)

Typed = tuple[Any, st.SearchStrategy[Any]]
"""A type and a strategy for its values."""

SIMPLE_TYPES: list[Typed] = [
    (str, STRINGS),
    (int, INTEGERS),
    (float, FLOATS),
    (bool, st.booleans()),
    (Any, JSON),
    (datetime, DATETIMES),
    (date, st.dates()),
    (time, st.times(timezones=st.none() | ZONES)),
    (timedelta, st.timedeltas()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (UUID, st.uuids()),
    (bytes, st.binary(max_size=8)),
    (Colour, st.sampled_from(Colour)),
    (Size, st.sampled_from(Size)),
    (Location, st.sampled_from(Location)),
    (Literal["a", 1, True], st.sampled_from(["a", 1, True])),
    (Cat, st.builds(Cat, INTEGERS)),
    (Tree, TREES),
    (
        Cat | Dog,
        st.builds(Cat, INTEGERS) | st.builds(Dog, STRINGS, st.sampled_from(["dog", "puppy"])),
    ),
    (int | float, INTEGERS | FLOATS),
    (Annotated[int, Interval(ge=0, lt=10)], st.integers(0, 9)),
    (Annotated[str, Len(1, 3)], st.text("abc", min_size=1, max_size=3)),
    (Annotated[str, Format("email")], st.sampled_from(["a@b.de", "x.y@z.org"])),
]
HASHABLE = [typed for typed in SIMPLE_TYPES if typed[0] is not Any]


def of(kind: Any, *parts: Any) -> Any:
    """Return `kind[parts]`, untyped, because mypy cannot follow it."""
    return kind[parts if len(parts) > 1 else parts[0]]


def containers(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    """Generate types that contain other types."""
    items = inner.map(lambda t: (of(tuple, t[0], ...), st.lists(t[1], max_size=3).map(tuple)))
    return st.one_of(
        items,
        inner.map(lambda t: (of(list, t[0]), st.lists(t[1], max_size=3))),
        inner.map(lambda t: (of(Mapping, str, t[0]), st.dictionaries(STRINGS, t[1], max_size=3))),
        st.tuples(inner, inner).map(
            lambda ts: (of(tuple, *(t[0] for t in ts)), st.tuples(*(t[1] for t in ts)))
        ),
        items.map(lambda t: (of(Annotated, t[0], MaxLen(2)), t[1].filter(lambda v: len(v) <= 2))),
        inner.filter(_can_be_optional).map(lambda t: (t[0] | None, st.none() | t[1])),
    )


def _can_be_optional(typed: Typed) -> bool:
    try:
        Payload.of(
            attrs.make_class("Probe", {"it": attrs.field(type=typed[0] | None)}, frozen=True)
        )
    except TypeError:  # one is Any, or it is None already
        return False
    return True


SETS = st.sampled_from(HASHABLE).map(
    lambda t: (of(frozenset, t[0]), st.frozensets(t[1], max_size=3))
)
TYPES: st.SearchStrategy[Typed] = st.recursive(
    st.sampled_from(SIMPLE_TYPES) | SETS, containers, max_leaves=3
)


PLAIN_TYPES: list[Typed] = [
    *(typed for typed in SIMPLE_TYPES[:17] if typed[0] is not Any),
    (Annotated[str, Len(1, 3)], st.text("abc", min_size=1, max_size=3)),
    (Point, st.builds(Point, FLOATS, st.lists(STRINGS, max_size=2).map(tuple))),
]
# The types that codecs know.
PLAIN: st.SearchStrategy[Typed] = st.sampled_from(PLAIN_TYPES).flatmap(
    lambda t: st.sampled_from(
        [
            t,
            (t[0] | None, st.none() | t[1]),
            (of(list, t[0]), st.lists(t[1], max_size=3)),
            (of(tuple, t[0], ...), st.lists(t[1], max_size=3).map(tuple)),
            (of(list, t[0] | None), st.lists(st.none() | t[1], max_size=3)),
        ]
    )
)


class Shouted(UUID):
    """A UUID that writes itself in another way."""

    def __str__(self) -> str:
        return super().__str__().upper()


# Values and strings that are nearly those of a type, or that a type has and JSON has not.
NEARLY: list[Any] = [
    *("", "\ud800", "red", "here", "a", 0, 1, True, 1.0, b"", Shouted(int=10)),
    datetime(9, 1, 1, tzinfo=UTC),
    datetime(9, 1, 1, tzinfo=UTC).replace(tzinfo=None),
    datetime(9, 1, 1, tzinfo=timezone(timedelta(seconds=1))),
    time(1, tzinfo=timezone(timedelta(seconds=1))),
    *map(Decimal, ("NaN", "Infinity", "-0", "1e-7")),
    *("1990-12-31t23:59:60z", "1990-12-31t23:59:59.123456789z", "1990-12-31T23:59:59"),
    *("0000-01-01", "2026-02-30", "20260130", "01:02:03+23:59", "T010203", "01:02"),
    *("P1D", "-PT0.5S", "P999999999999D", "P1DT", "1e7", "1e9999999999999999999", "NaN", "1_0"),
    *("AAAAAAAA-AAAA-AAAA-AAAA-AAAAAAAAAAAA", "{" + "A" * 32 + "}", "AA==", "AB==", "A"),
]


@st.composite
def payloads(draw: st.DrawFn, kinds: st.SearchStrategy[Typed] = TYPES) -> tuple[type, Any]:
    """Generate a class of up to four fields of any types, and an instance of it."""
    types = draw(st.lists(kinds, min_size=0, max_size=4))
    values = [draw(values) for _, values in types]
    defaults = [draw(st.booleans()) and not isinstance(v, list | dict) for v in values]
    fields = [
        Declared(f"f{i}", draw(aliased(i, kind)), value, has_default)
        for i, ((kind, _), value, has_default) in enumerate(
            zip(types, values, defaults, strict=True)
        )
    ]
    cls = draw(st.sampled_from([attrs_class, dataclass, named_tuple, typed_dict]))(fields)
    return cls, cls(**{f"f{i}": value for i, value in enumerate(values)})


@frozen
class Declared:
    """A field of a generated class."""

    name: str
    kind: Any
    value: Any
    has_default: bool


def aliased(number: int, kind: Any) -> st.SearchStrategy[Any]:
    """Generate the type of a field, with or without a key of its own."""
    return st.sampled_from([kind, Annotated[kind, Alias(f"key {number}")]])


def attrs_class(fields: list[Declared]) -> Any:
    """Make a class of attrs."""
    made = {
        it.name: attrs.field(
            type=it.kind, kw_only=True, **({"default": it.value} if it.has_default else {})
        )
        for it in fields
    }
    return attrs.make_class("Generated", made, frozen=True)


def dataclass(fields: list[Declared]) -> Any:
    """Make a dataclass."""
    made = [
        (
            it.name,
            it.kind,
            dataclasses.field(default_factory=partial(getattr, it, "value"))
            if it.has_default
            else dataclasses.field(),
        )
        for it in fields
    ]
    return dataclasses.make_dataclass("Generated", made, frozen=True, kw_only=True)


def named_tuple(fields: list[Declared]) -> Any:
    """Make a named tuple."""
    make: Any = NamedTuple
    return make("Generated", [(it.name, it.kind) for it in fields])


def typed_dict(fields: list[Declared]) -> Any:
    """Make a dict with known keys."""
    make: Any = TypedDict
    kinds = {it.name: NotRequired[it.kind] if it.has_default else it.kind for it in fields}
    return make("Generated", kinds)


def change(value: Any, changed: dict[str, Any]) -> Any:
    """Return an instance with other values."""
    if isinstance(value, dict):
        return {**value, **changed}
    if isinstance(value, tuple):
        return value._replace(**changed)  # type: ignore[attr-defined]
    return (attrs.evolve if attrs.has(type(value)) else dataclasses.replace)(value, **changed)


def through_json(data: object) -> Any:
    """Convert *data* to JSON text and back."""
    return orjson.loads(orjson.dumps(data))


@given(payloads())
def test_every_instance_round_trips(generated: tuple[type, Any]) -> None:
    """A handler gets the values that its caller sent."""
    cls, value = generated
    payload: Payload[Any] = Payload.of(cls)

    written = payload.write(value)
    assert not isinstance(written, Issues), str(written)
    result = payload.read(through_json(written))

    assert result == value
    # True == 1 in Python, but their JSON texts differ.
    assert orjson.dumps(payload.write(result)) == orjson.dumps(written)
    assert payload.write(written) == written


@given(payloads(), st.data())
def test_valid_data_is_read_without_the_way_that_explains(
    generated: tuple[type, Any], drawn: st.DataObject
) -> None:
    """That one takes three times as long, and reads whatever the fast one cannot."""
    cls, value = generated
    written = attrs.evolve(Payload.of(cls), codec=None).write(value)
    assert isinstance(written, dict)
    optional = [it.wire for it in fields_of(cls) if not it.required and drawn.draw(st.booleans())]
    some = {key: item for key, item in written.items() if key not in optional}

    assert converter().structure(written, cls) == value
    assert converter().structure(some, cls) == Payload.of(cls).read(some)


@given(payloads(), st.dictionaries(STRINGS, JSON, max_size=3))
def test_unknown_keys_make_no_difference(
    generated: tuple[type, Any], extra: dict[str, Any]
) -> None:
    """A sender may use a newer version of the class."""
    cls, value = generated
    assume(not extra.keys() & {field.wire for field in fields_of(cls)})
    payload: Payload[Any] = Payload.of(cls)
    written = payload.write(value)
    assert not isinstance(written, Issues)

    assert payload.read({**extra, **written}) == value
    assert payload.write({**extra, **written}) == written


ANYTHING = st.one_of(
    JSON,
    st.dictionaries(st.sampled_from(["f0", "f1", "f2", "f3", "x"]), JSON, max_size=5),
    st.just(float("nan")),
    st.binary(),
    st.builds(object),
    st.dictionaries(st.integers() | st.text(), st.text() | st.complex_numbers()),
)


@given(payloads(), ANYTHING)
def test_reading_and_writing_anything_raises_nothing(
    generated: tuple[type, Any], data: object
) -> None:
    """Invalid data returns issues and raises no exception in a worker."""
    payload: Payload[Any] = Payload.of(generated[0])

    for result in (payload.read(data), payload.write(data)):
        assert isinstance(result, (Issues, dict, *payload.instance_types))
        if isinstance(result, Issues):
            assert all(issue.path.startswith("data") for issue in result.items)
            assert all(len(issue.got) <= GOT_CHARACTERS_MAX for issue in result.items)


@given(payloads(), ANYTHING)
def test_writing_an_instance_of_anything_raises_nothing(
    generated: tuple[type, Any], value: object
) -> None:
    """Python does not enforce annotations, so a field may hold a value of another type."""
    cls = generated[0]
    names = [field.name for field in fields_of(cls)]
    written = Payload.of(cls).write(cls(**dict.fromkeys(names, value)))

    if not isinstance(written, Issues):
        assert through_json(written) == written


@given(payloads(PLAIN), st.data())
def test_a_codec_agrees_with_the_general_way(
    generated: tuple[type, Any], drawn: st.DataObject
) -> None:
    """The codec decides alone over the payloads of most events."""
    cls, value = generated
    junk = drawn.draw(
        ANYTHING
        | INTEGERS
        | FLOATS
        | st.sampled_from(NEARLY)
        | st.one_of(*(values for _, values in SIMPLE_TYPES))
        | st.lists(STRINGS | INTEGERS | FLOATS | st.sampled_from(NEARLY), max_size=2)
    )
    fields = [field for field in fields_of(cls) if drawn.draw(st.booleans())]
    changed = {field.name: junk for field in fields}
    keys = {field.wire: junk for field in fields}
    data = Payload.of(cls).write(value)
    assert isinstance(data, dict)

    assert codec_of(cls) is not None
    _assert_agreement(cls, (value, change(value, changed)), (data, {**data, **keys}))


@pytest.mark.parametrize("typed", PLAIN_TYPES, ids=lambda typed: str(typed[0]))
def test_a_codec_agrees_about_values_that_are_nearly_of_a_type(typed: Typed) -> None:
    """Python reads more strings than the schema allows, and a subclass writes others."""
    kind = typed[0]

    for it, wrap in ((kind, lambda v: v), (kind | None, lambda v: v), (of(list, kind), list_of)):
        cls: Any = attrs.make_class("Nearly", {"it": attrs.field(type=it)}, frozen=True)
        assert codec_of(cls) is not None
        values = [wrap(value) for value in NEARLY]
        _assert_agreement(cls, map(cls, values), ({"it": value} for value in values))


def list_of(value: object) -> list[object]:
    """Make a list of one item."""
    return [value]


def _assert_agreement(
    cls: Any, instances: Iterable[object], objects: Iterable[dict[str, Any]]
) -> None:
    payload: Payload[Any] = Payload.of(cls)
    general = attrs.evolve(payload, codec=None)
    for instance in instances:
        assert _outcome(payload.write, instance) == _outcome(general.write, instance)
    for json in objects:
        frozen_json = freeze_object(json)
        if isinstance(frozen_json, dict):
            assert _outcome(payload.read, frozen_json) == _outcome(general.read, frozen_json)


def _outcome(convert: Callable[[Any], Any], value: object) -> str:
    # As text: 1, 1.0 and True are equal.
    return repr(convert(value))


@given(payloads(), JSON, st.integers(0, 3))
def test_data_that_can_be_read_is_written_with_the_same_meaning(
    generated: tuple[type, Any], value: object, index: int
) -> None:
    """A round trip neither repairs nor damages data."""
    payload: Payload[Any] = Payload.of(generated[0])
    written = payload.write(generated[1])
    assert isinstance(written, dict)
    keys = [field.wire for field in fields_of(generated[0])]
    data = {**written, (keys * 4 or ["x"] * 4)[index]: value}

    result = payload.read(data)

    if isinstance(result, Issues):
        assert isinstance(payload.write(data), Issues)
    else:
        again = payload.write(result)
        assert again == payload.write(data)
        assert payload.read(through_json(again)) == result


@given(payloads())
def test_the_exported_schema_reads_and_writes_the_same_data(generated: tuple[type, Any]) -> None:
    """A service may have the contract only as JSON."""
    of_class: Payload[Any] = Payload.of(generated[0])
    of_schema = Payload.of(of_class.schema)
    written = of_class.write(generated[1])

    assert of_schema.read(written) == written
    assert of_schema.write(written) == written


@given(payloads(), ANYTHING)
def test_a_class_refuses_all_that_its_schema_refuses(
    generated: tuple[type, Any], data: object
) -> None:
    """Both sides of a contract must refuse the same data."""
    of_class: Payload[Any] = Payload.of(generated[0])

    if isinstance(Payload.of(of_class.schema).read(data), Issues):
        assert isinstance(of_class.read(data), Issues)


@given(st.lists(st.integers(0, 9), max_size=4), st.integers(0, 9))
def test_a_bound_is_checked_in_both_directions(values: list[int], bound: int) -> None:
    """A constraint is declared once, for reading and writing."""
    kind: Any = tuple[Annotated[int, Ge(bound)], ...]
    cls: Any = attrs.make_class("Bounded", {"it": attrs.field(type=kind)}, frozen=True)
    payload: Payload[Any] = Payload.of(cls)
    is_valid = all(value >= bound for value in values)

    assert isinstance(payload.read({"it": values}), cls) is is_valid
    assert isinstance(payload.write(cls(tuple(values))), dict) is is_valid


T = TypeVar("T")


@frozen
class Page(Generic[T]):
    items: tuple[T, ...]
    first: T | None = None


@dataclasses.dataclass(frozen=True)
class Numbered(Page[T]):
    number: Annotated[int, Alias("class")] = 0


@given(st.sampled_from(HASHABLE).filter(_can_be_optional), st.data())
def test_a_generic_class_is_read_as_one_with_the_types_in_it(
    typed: Typed, drawn: st.DataObject
) -> None:
    """Its type variables are put in wherever they stand, also in a class that inherits them."""
    kind, values = typed
    items = drawn.draw(st.lists(values, max_size=3).map(tuple))
    fields = {"items": of(tuple, kind, ...), "first": kind | None}
    plain: Payload[Any] = Payload.of(
        attrs.make_class(
            "Plain",
            {
                "items": attrs.field(type=fields["items"]),
                "first": attrs.field(type=fields["first"], default=None),
            },
            frozen=True,
        )
    )
    generic: Payload[Any] = Payload.of(of(Page, kind))
    value = Page(items, items[0] if items else None)

    assert {**generic.schema, "title": ""} == {**plain.schema, "title": ""}
    written = generic.write(value)
    assert orjson.dumps(written) == orjson.dumps(
        plain.write({} if isinstance(written, Issues) else written)
    )
    assert generic.read(written) == value


NUMBERS = [int, float, Literal[1, 2], Size, Annotated[int, Ge(0)], Annotated[float, Ge(0.5)]]


@given(
    st.lists(st.sampled_from(NUMBERS), min_size=2, max_size=2, unique=True),
    st.sampled_from([0, 1, 2, 7, 2**53 + 1, 2**63, -3, 0.0, 1.0, 0.5, 2.5, 1e300]),
    st.booleans(),
)
def test_the_order_of_a_union_of_numbers_has_no_meaning(
    kinds: list[Any], number: float, is_first: bool
) -> None:
    """Python compares unions without their order, so a cache may return the other one."""
    one, two = of(Union, *kinds), of(Union, *reversed(kinds))
    assume(_can_be_optional((one, st.nothing())))
    made: list[Any] = [
        attrs.make_class("Number", {"it": attrs.field(type=kind)}, frozen=True)
        for kind in ((one, two) if is_first else (two, one))
    ]
    payloads = [Payload.of(cls) for cls in made]

    assert payloads[0].schema == payloads[1].schema
    outcomes = {
        (_outcome(payload.write, cls(number)), _outcome(payload.read, {"it": number}))
        for cls, payload in zip(made, payloads, strict=True)
    }
    assert len(outcomes) == 1
    written = payloads[0].write(made[0](number))
    if not isinstance(written, Issues):
        assert payloads[0].read(written) == made[0](number)
