"""Laws of payloads, for all classes, instances and data."""

import enum
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import attrs
import orjson
from annotated_types import Ge, Interval, Len, MaxLen
from attrs import frozen
from hypothesis import assume, given
from hypothesis import strategies as st

from arvo.core.payloads.constraint import Format
from arvo.core.payloads.payload import Payload
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


@st.composite
def payloads(draw: st.DrawFn) -> tuple[type, Any]:
    """Generate a class of up to four fields of any types, and an instance of it."""
    types = draw(st.lists(TYPES, min_size=0, max_size=4))
    values = [draw(values) for _, values in types]
    defaults = [draw(st.booleans()) and not isinstance(v, list | dict) for v in values]
    fields = {
        f"f{i}": attrs.field(type=kind, kw_only=True, **({"default": value} if has_default else {}))
        for i, ((kind, _), value, has_default) in enumerate(
            zip(types, values, defaults, strict=True)
        )
    }
    cls = attrs.make_class("Generated", fields, frozen=True)
    return cls, cls(**{f"f{i}": value for i, value in enumerate(values)})


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


@given(payloads(), st.dictionaries(STRINGS, JSON, max_size=3))
def test_unknown_keys_make_no_difference(
    generated: tuple[type, Any], extra: dict[str, Any]
) -> None:
    """A sender may use a newer version of the class."""
    cls, value = generated
    assume(not extra.keys() & {attribute.name for attribute in attrs.fields(cls)})
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
        assert isinstance(result, Issues | generated[0] | dict)
        if isinstance(result, Issues):
            assert all(issue.path.startswith("data") for issue in result.items)
            assert all(len(issue.got) <= GOT_CHARACTERS_MAX for issue in result.items)


@given(payloads(), ANYTHING)
def test_writing_an_instance_of_anything_raises_nothing(
    generated: tuple[type, Any], value: object
) -> None:
    """Python does not enforce annotations, so a field may hold a value of another type."""
    cls = generated[0]
    names = [attribute.name for attribute in attrs.fields(cls)]
    written = Payload.of(cls).write(cls(**dict.fromkeys(names, value)))

    if not isinstance(written, Issues):
        assert through_json(written) == written


@given(payloads(), JSON, st.integers(0, 3))
def test_data_that_can_be_read_is_written_with_the_same_meaning(
    generated: tuple[type, Any], value: object, index: int
) -> None:
    """A round trip neither repairs nor damages data."""
    payload: Payload[Any] = Payload.of(generated[0])
    data = payload.write(generated[1])
    assert isinstance(data, dict)
    data[f"f{index}"] = value

    result = payload.read(data)

    if isinstance(result, Issues):
        assert isinstance(payload.write(data), Issues)
    else:
        written = payload.write(result)
        assert written == payload.write(data)
        assert payload.read(through_json(written)) == result


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
