"""Tests of the fields of payload classes."""

import dataclasses
from collections import namedtuple
from typing import Annotated, Any, Generic, NamedTuple, NotRequired, Required, TypeVar

import attrs
import pytest
from attrs import field, frozen
from typing_extensions import ReadOnly, TypedDict

from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.classes import PayloadError
from arvo.core.payloads.types.field import Alias
from arvo.core.payloads.types.fields import fields_of

A = TypeVar("A")
B = TypeVar("B")


@frozen
class Pair(Generic[A, B]):
    one: A
    two: list[B]


@frozen
class Swapped(Pair[B, A]):
    three: dict[str, B]


@frozen
class Numbers(Swapped[str, int]):
    four: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transfer:
    """Money that moves."""

    sender: Annotated[str, Alias("from")]
    amounts: list[int] = dataclasses.field(default_factory=list)
    note: str = "none"
    size: int = dataclasses.field(init=False, default=3)


class Point(NamedTuple):
    x: int
    y: Annotated[float, Alias("class")] = 0.5


class Partial(TypedDict, total=False):
    plain: int
    needed: Required[Annotated[str, Alias("lambda")]]
    fixed: ReadOnly[int]


class Whole(Partial):
    also: int
    maybe: Annotated[NotRequired[int], "text"]


class Tagged(TypedDict, Generic[A]):
    value: A


class TaggedList(Tagged[list[int]]):
    more: str


def described(kind: Any) -> dict[str, tuple[str, Any, bool]]:
    """Return the key, the type and whether it is required, of each field."""
    return {it.name: (it.wire, it.type, it.required) for it in fields_of(kind)}


@pytest.mark.parametrize(
    ("kind", "types"),
    [
        (Pair[int, str], {"one": int, "two": list[str]}),
        (Swapped[int, str], {"one": int, "two": list[str], "three": dict[str, int]}),
        (Numbers, {"one": str, "two": list[int], "three": dict[str, str], "four": bool}),
        (Pair[Pair[int, str], bool], {"one": Pair[int, str], "two": list[bool]}),
        (Tagged[int], {"value": int}),
        (TaggedList, {"value": list[int], "more": str}),
    ],
)
def test_the_types_of_a_generic_class_are_put_in(kind: Any, types: dict[str, Any]) -> None:
    """Each class of an inheritance may give its variables another name."""
    assert {it.name: it.type for it in fields_of(kind)} == types


def test_a_dataclass_has_the_fields_of_its_constructor() -> None:
    """A field that the constructor does not take cannot be read."""
    sender, amounts, note = fields_of(Transfer)

    assert (sender.wire, sender.argument, sender.required) == ("from", "sender", True)
    assert amounts.default == attrs.Factory(list)
    assert (note.wire, note.default, note.required) == ("note", "none", False)


def test_a_named_tuple_has_its_defaults() -> None:
    """It is an object in JSON: a field may be added without another meaning of the others."""
    assert described(Point) == {
        "x": ("x", int, True),
        "y": ("class", Annotated[float, Alias("class")], False),
    }


def test_a_typed_dict_has_its_optional_keys() -> None:
    """Its qualifiers count, wherever they stand and whatever the class says of all its keys."""
    assert described(Whole) == {
        "plain": ("plain", int, False),
        "needed": ("lambda", Annotated[str, Alias("lambda")], True),
        "fixed": ("fixed", int, False),
        "also": ("also", int, True),
        "maybe": ("maybe", Annotated[int, "text"], False),
    }


@frozen
class Twice:
    one: Annotated[int, Alias("it")]
    it: int = 3


@frozen
class Inner:
    keys: list[Annotated[int, Alias("it")]]


@dataclasses.dataclass(frozen=True)
class Init:
    seed: dataclasses.InitVar[int]


@dataclasses.dataclass
class Mutable:
    it: int


OPEN: Any = Pair[int, B]  # type: ignore[valid-type]
untyped = namedtuple("untyped", ["it"])  # noqa: PYI024  # what this is about


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Twice, "Twice.one: another field has the key 'it'"),
        (Inner, r"Inner.keys: Alias\(key='it'\) is the key of a field: annotate its whole type"),
        (Init, "Init.seed: an InitVar is in no instance: make it a field"),
        (Mutable, r"Mutable: a payload must be immutable.*declare it with @dataclass\(frozen=True"),
        (untyped, "untyped.it: has no type: annotate it"),
        (Pair, "Pair.one: ~A is a type variable: give the class its types, such as Page"),
        (OPEN, r"Pair\[int, ~B\].two: ~B is a type variable"),
    ],
)
def test_a_class_that_json_cannot_carry_is_refused(kind: Any, message: str) -> None:
    """When the contract is made, and not with the first event."""
    with pytest.raises(PayloadError, match=message):
        Payload.of(kind)


@pytest.mark.parametrize("key", ["", "\ud800"])
def test_an_alias_is_a_key_of_json(key: str) -> None:
    """No JSON text holds a lone surrogate."""
    with pytest.raises(ValueError, match="alias: expected a JSON key"):
        Alias(key)


def test_an_alias_of_attrs_is_the_keyword_and_an_alias_of_ours_the_key() -> None:
    """The key may be a word that Python keeps for itself."""

    @frozen
    class Both:
        it: Annotated[str, Alias("from")] = field(alias="sender")

    (found,) = fields_of(Both)

    assert (found.name, found.argument, found.wire) == ("it", "sender", "from")
    assert Payload.of(Both).write(Both(sender="a")) == {"from": "a"}
    assert Payload.of(Both).read({"from": "a"}) == Both(sender="a")
