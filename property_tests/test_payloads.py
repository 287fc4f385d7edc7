"""Laws of payloads: for every class, every instance and every piece of data."""

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


class Place(enum.StrEnum):
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


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INTEGERS = st.integers(-(2**63), 2**64 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
ZONES = st.builds(timezone, st.integers(-1439, 1439).map(lambda n: timedelta(minutes=n)))
MOMENTS = st.datetimes(timezones=st.one_of(st.just(UTC), ZONES))
TREES: st.SearchStrategy[Tree] = st.recursive(
    st.builds(Tree, INTEGERS),
    lambda inner: st.builds(Tree, INTEGERS, st.lists(inner, max_size=2).map(tuple)),
    max_leaves=5,
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)

Typed = tuple[Any, st.SearchStrategy[Any]]
"""A type, and its values."""

LEAVES: list[Typed] = [
    (str, TEXTS),
    (int, INTEGERS),
    (float, FLOATS),
    (bool, st.booleans()),
    (Any, JSON),
    (datetime, MOMENTS),
    (date, st.dates()),
    (time, st.times(timezones=st.none() | ZONES)),
    (timedelta, st.timedeltas()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (UUID, st.uuids()),
    (bytes, st.binary(max_size=8)),
    (Colour, st.sampled_from(Colour)),
    (Size, st.sampled_from(Size)),
    (Place, st.sampled_from(Place)),
    (Literal["a", 1, True], st.sampled_from(["a", 1, True])),
    (Cat, st.builds(Cat, INTEGERS)),
    (Tree, TREES),
    (
        Cat | Dog,
        st.builds(Cat, INTEGERS) | st.builds(Dog, TEXTS, st.sampled_from(["dog", "puppy"])),
    ),
    (int | float, INTEGERS | FLOATS),
    (Annotated[int, Interval(ge=0, lt=10)], st.integers(0, 9)),
    (Annotated[str, Len(1, 3)], st.text("abc", min_size=1, max_size=3)),
    (Annotated[str, Format("email")], st.sampled_from(["a@b.de", "x.y@z.org"])),
]
HASHABLE = [each for each in LEAVES if each[0] is not Any]


def of(kind: Any, *parts: Any) -> Any:
    """Give the type *kind* of *parts*, which mypy need not follow."""
    return kind[parts if len(parts) > 1 else parts[0]]


def wrapped(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    """Give types made of other types."""
    items = inner.map(lambda t: (of(tuple, t[0], ...), st.lists(t[1], max_size=3).map(tuple)))
    return st.one_of(
        items,
        inner.map(lambda t: (of(list, t[0]), st.lists(t[1], max_size=3))),
        inner.map(lambda t: (of(Mapping, str, t[0]), st.dictionaries(TEXTS, t[1], max_size=3))),
        st.tuples(inner, inner).map(
            lambda ts: (of(tuple, *(t[0] for t in ts)), st.tuples(*(t[1] for t in ts)))
        ),
        items.map(lambda t: (of(Annotated, t[0], MaxLen(2)), t[1].filter(lambda v: len(v) <= 2))),
        inner.filter(_optional).map(lambda t: (t[0] | None, st.none() | t[1])),
    )


def _optional(typed: Typed) -> bool:
    try:
        Payload.of(
            attrs.make_class("Probe", {"it": attrs.field(type=typed[0] | None)}, frozen=True)
        )
    except TypeError:  # Any is in it, or None already
        return False
    return True


SETS = st.sampled_from(HASHABLE).map(
    lambda t: (of(frozenset, t[0]), st.frozensets(t[1], max_size=3))
)
TYPES: st.SearchStrategy[Typed] = st.recursive(
    st.sampled_from(LEAVES) | SETS, wrapped, max_leaves=3
)


@st.composite
def payloads(draw: st.DrawFn) -> tuple[type, Any]:
    """Give a class of up to four fields of any types, and an instance of it."""
    types = draw(st.lists(TYPES, min_size=0, max_size=4))
    values = [draw(values) for _, values in types]
    kept = [draw(st.booleans()) and not isinstance(each, list | dict) for each in values]
    fields = {
        f"f{i}": attrs.field(type=kind, kw_only=True, **({"default": value} if has else {}))
        for i, ((kind, _), value, has) in enumerate(zip(types, values, kept, strict=True))
    }
    cls = attrs.make_class("Generated", fields, frozen=True)
    return cls, cls(**{f"f{i}": value for i, value in enumerate(values)})


def sent(data: object) -> Any:
    """Send *data* over the wire."""
    return orjson.loads(orjson.dumps(data))


@given(payloads())
def test_every_instance_comes_back_equal(made: tuple[type, Any]) -> None:
    """A handler sees what its caller sent, whatever the class."""
    cls, value = made
    payload: Payload[Any] = Payload.of(cls)

    written = payload.write(value)
    assert not isinstance(written, Issues), str(written)
    found = payload.read(sent(written))

    assert found == value
    # True == 1: the text on the wire tells them apart.
    assert orjson.dumps(payload.write(found)) == orjson.dumps(written)
    assert payload.write(written) == written


@given(payloads(), st.dictionaries(TEXTS, JSON, max_size=3))
def test_unknown_keys_make_no_difference(made: tuple[type, Any], more: dict[str, Any]) -> None:
    """A sender may be newer than its receiver."""
    cls, value = made
    assume(not more.keys() & {each.name for each in attrs.fields(cls)})
    payload: Payload[Any] = Payload.of(cls)
    written = payload.write(value)
    assert not isinstance(written, Issues)

    assert payload.read({**more, **written}) == value
    assert payload.write({**more, **written}) == written


ANYTHING = st.one_of(
    JSON,
    st.dictionaries(st.sampled_from(["f0", "f1", "f2", "f3", "x"]), JSON, max_size=5),
    st.just(float("nan")),
    st.binary(),
    st.builds(object),
    st.dictionaries(st.integers() | st.text(), st.text() | st.complex_numbers()),
)


@given(payloads(), ANYTHING)
def test_reading_and_writing_anything_raises_nothing(made: tuple[type, Any], data: object) -> None:
    """What comes from outside is a value with a reason, never an exception in a worker."""
    payload: Payload[Any] = Payload.of(made[0])

    for result in (payload.read(data), payload.write(data)):
        assert isinstance(result, Issues | made[0] | dict)
        if isinstance(result, Issues):
            assert all(each.path.startswith("data") for each in result.items)
            assert all(len(each.got) <= GOT_CHARACTERS_MAX for each in result.items)


@given(payloads(), ANYTHING)
def test_writing_an_instance_of_anything_raises_nothing(
    made: tuple[type, Any], value: object
) -> None:
    """Annotations bind nobody at run time, so a field may hold what its type forbids."""
    cls = made[0]
    names = [each.name for each in attrs.fields(cls)]
    written = Payload.of(cls).write(cls(**dict.fromkeys(names, value)))

    if not isinstance(written, Issues):
        assert sent(written) == written


@given(payloads(), JSON, st.integers(0, 3))
def test_what_is_read_can_be_written_and_means_the_same(
    made: tuple[type, Any], bad: object, at: int
) -> None:
    """A round trip neither mends data nor spoils it."""
    payload: Payload[Any] = Payload.of(made[0])
    data = payload.write(made[1])
    assert isinstance(data, dict)
    data[f"f{at}"] = bad

    found = payload.read(data)

    if isinstance(found, Issues):
        assert isinstance(payload.write(data), Issues)
    else:
        written = payload.write(found)
        assert written == payload.write(data)
        assert payload.read(sent(written)) == found


@given(payloads())
def test_the_exported_schema_is_a_payload_that_agrees(made: tuple[type, Any]) -> None:
    """A service that has the contract as JSON only keeps the same promise."""
    ours: Payload[Any] = Payload.of(made[0])
    theirs = Payload.of(ours.schema)
    written = ours.write(made[1])

    assert theirs.read(written) == written
    assert theirs.write(written) == written


@given(payloads(), ANYTHING)
def test_both_kinds_of_payload_refuse_the_same_forms(made: tuple[type, Any], data: object) -> None:
    """Who holds the class refuses all that the schema refuses."""
    ours: Payload[Any] = Payload.of(made[0])

    if isinstance(Payload.of(ours.schema).read(data), Issues):
        assert isinstance(ours.read(data), Issues)


@given(st.lists(st.integers(0, 9), max_size=4), st.integers(0, 9))
def test_a_bound_holds_on_the_way_in_and_out(values: list[int], bound: int) -> None:
    """A constraint is declared once and both sides see it."""
    kind: Any = tuple[Annotated[int, Ge(bound)], ...]
    cls: Any = attrs.make_class("Bounded", {"it": attrs.field(type=kind)}, frozen=True)
    payload: Payload[Any] = Payload.of(cls)
    holds = all(value >= bound for value in values)

    assert isinstance(payload.read({"it": values}), cls) is holds
    assert isinstance(payload.write(cls(tuple(values))), dict) is holds
