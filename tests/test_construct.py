"""Construct: instances of frozen classes, made without their checks."""

import inspect
import pickle
from typing import Any, Generic, TypeVar

import attrs
import pytest
from attrs import field, frozen

from arvo.construct import constructor, evolver, quick_init

T = TypeVar("T")


def _refuse(*_: object) -> None:
    raise AssertionError


@frozen(weakref_slot=False)
class Checked(Generic[T]):
    total: int = field(default=1, validator=_refuse)
    name: str = field(kw_only=True, converter=_refuse)
    _cache: T | None = field(default=None, init=False, eq=False)

    def __attrs_post_init__(self) -> None:
        _refuse()


construct, evolve = constructor(Checked), evolver(Checked, "total")


def test_a_constructed_object_is_an_instance_that_no_check_has_seen() -> None:
    """The library has checked the parts already."""
    made: Checked[Any] = construct("order")

    assert type(made) is Checked
    assert attrs.astuple(made) == (1, "order", None)
    assert made == construct("order", 1)
    assert made != construct("order", 2)
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301 - our own bytes


def test_a_constructed_object_is_frozen() -> None:
    """Handlers share events: none may change one for the others."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        construct("order").total = 2  # type: ignore[misc]


def test_a_copy_has_the_given_fields_and_forgets_what_was_derived() -> None:
    """The text of an event is that of its own attributes."""
    made = construct("order", _cache="derived")

    assert attrs.astuple(evolve(made, None)) == (None, "order", None)
    assert attrs.astuple(evolver(Checked, "_cache")(made, "other")) == (1, "order", "other")


@quick_init
@frozen(weakref_slot=False)
class Quick:
    payload: object
    total: int = field(default=1, converter=int, kw_only=True)


def test_a_quick_class_is_made_like_any_other() -> None:
    """Commands are part of the interface, and every handler makes some."""
    made = Quick([1], total="2")

    assert attrs.astuple(made) == ([1], 2)
    assert attrs.evolve(made, total=3) == Quick(payload=[1], total=3)
    assert Quick(None) == Quick(None, total=1)
    assert str(inspect.signature(Quick)) == "(payload: object, *, total=1) -> None"
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301 - our own bytes
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.total = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        Quick(None, 2)  # type: ignore[call-arg]
