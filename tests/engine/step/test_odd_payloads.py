"""Odd payloads: what a handler puts into a command may be of any type."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import InitVar, dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import pytest
from attrs import define, frozen
from pydantic import BaseModel

from arvo import Cancel, Compensate, Complete, Emit, Persist, Schedule, System, Violated
from tests.shop import expect_violation, make_workflow, order_request

T = TypeVar("T")


@frozen
class Page(Generic[T]):
    item: T


@dataclass
class Mutable:
    order_id: str = "o1"


@define
class Defined:
    order_id: str = "o1"


@frozen
class Complex:
    value: complex = 1j


@frozen
class Unresolved:
    value: "Nowhere"  # type: ignore[name-defined]  # noqa: F821  # what this test is about


@frozen
class Outer:
    inner: Mutable


@dataclass(frozen=True)
class Initialised:
    seed: InitVar[int]


class Pair(NamedTuple):
    left: object = None


class Model(BaseModel):
    value: Any = None


class Broken(Mapping[str, Any]):
    """A mapping that computes its items, and fails."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError(key)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("the connection is closed")

    def __len__(self) -> int:
        return 1


ODD: list[Any] = [
    Page(1),
    Mutable(),
    Defined(),
    Complex(),
    Unresolved(1),
    Outer(Mutable()),
    Initialised(1),
    Pair(object()),
    Model(value=object()),
    Broken(),
    {"a": object()},
    {1: 2},
    [1],
    Mutable,
    Page[int],
    object(),
]
COMMANDS: list[Callable[[Any], Any]] = [
    Emit,
    lambda payload: Emit(payload, type="com.payment.charge"),
    Complete,
    lambda payload: Persist({"payload": payload}),
    lambda payload: Schedule("t", after=1, payload=payload),
    Compensate,
    lambda payload: Compensate(Emit(payload, type="com.payment.charge")),
]


@pytest.mark.parametrize("make_command", COMMANDS)
@pytest.mark.parametrize("payload", ODD, ids=lambda payload: str(type(payload)))
def test_a_payload_that_a_command_cannot_hold_is_a_violation(
    make_command: Callable[[Any], Any], payload: Any
) -> None:
    """An exception of the step would stop a worker, and not name the handler."""
    odd = [1, object()] if payload == [1] else payload

    violation = expect_violation(
        System([make_workflow(lambda _: make_command(odd))]), order_request()
    )

    assert "expected" in str(violation)


def test_the_violation_of_a_timer_names_the_class_and_a_remedy() -> None:
    """No contract has checked the class of its payload before."""
    command = Schedule("t", after=1, payload=Page(1))

    violation = expect_violation(System([make_workflow(lambda _: command)]), order_request())

    assert "schedule.payload: expected a mapping or an instance of a payload class" in str(
        violation
    )
    assert "give the class its types, such as Page[int]" in str(violation)


def test_a_timer_is_cancelled_by_its_name() -> None:
    """A payload in the place of the name has no hash."""
    name: Any = Mutable()

    with pytest.raises(Violated) as raised:
        Cancel(name)

    assert "cancel.name: expected the name of a timer, a string, got Mutable(" in str(raised.value)
