"""Tests of handlers whose payloads are classes of each kind."""

import dataclasses
from typing import Annotated, Any, Generic, NamedTuple, TypedDict, TypeVar

import pytest
from attrs import frozen

from arvo import (
    Alias,
    Contract,
    Emit,
    Event,
    EventHandler,
    Flow,
    System,
    Version,
    Violated,
    ask,
    run,
    service,
    workflow,
)
from arvo.testing import check_handler, check_workflow

T = TypeVar("T")


class Check(NamedTuple):
    name: str


class Score(TypedDict):
    score: int
    checked: Annotated[bool, Alias("class")]


@frozen
class Page(Generic[T]):
    items: tuple[T, ...]


@dataclasses.dataclass(frozen=True)
class Apply:
    name: str


@dataclasses.dataclass(frozen=True)
class Decided:
    score: int
    names: tuple[str, ...]


@service("com.credit.score")
def score(request: Check) -> Score:
    """Answer a named tuple with a dict."""
    return {"score": len(request.name), "checked": True}


@service("com.credit.names")
def names(request: Page[int]) -> Page[str]:
    """Answer a generic class with the same one."""
    return Page(tuple(map(str, request.items)))


@workflow("loan.decide", services=[score, names])
def decide(request: Apply) -> Flow[Decided]:
    """Ask both services."""
    scored = yield from ask(score, Check(request.name))
    page = yield from ask(names, Page((scored["score"],)))
    return Decided(scored["score"], page.items)


def test_a_workflow_and_its_services_have_payloads_of_all_kinds() -> None:
    """A service takes the classes that a program has already."""
    system = System([decide, score, names])
    begun = decide.contract["1.0.0"].init(Apply("ann"), source="com.front.desk")

    trace = run(system, begun)

    assert trace.answer is not None
    assert trace.answer.data == Decided(3, ("3",))
    assert [event.raw for event in trace.events if "score" in event.type][1:2] == [
        {"score": 3, "class": True}
    ]


def test_the_event_type_of_a_generic_class_has_the_words_of_its_types() -> None:
    """Two classes that differ in their types have two event types."""
    assert list(names["1.0.0"].emitted) == ["evt.com.credit.names.page.str"]


def test_the_laws_hold_for_them() -> None:
    """The strategies draw instances of each kind."""
    check_handler(score)
    check_handler(names)
    check_workflow(decide)


def test_a_dict_of_two_classes_needs_a_type() -> None:
    """Their instances have one Python type."""

    class Other(TypedDict):
        score: int

    contract: Any = Contract(
        uri="#/two",
        type="com.two.dicts",
        versions={"1.0.0": Version(accepts=Apply, emits={"evt.a.b": Score, "evt.c.d": Other})},
    )

    with pytest.raises(Violated, match=r"type: expected one of evt\.a\.b, evt\.c\.d"):
        contract["1.0.0"].emits({"score": 1, "class": True}, source="com.front.desk")


def test_the_data_of_an_event_does_not_follow_the_dict_that_it_was_made_of() -> None:
    """An event is immutable."""
    contract = Contract(
        uri="#/one",
        type="com.one.dict",
        versions={"1.0.0": Version(accepts=Score, emits={})},
    )
    data: Score = {"score": 1, "checked": False}

    event = contract["1.0.0"].accepts(data, source="com.front.desk")
    data["score"] = 2

    assert event.data["score"] == event.raw["score"] == 1


def test_a_handler_may_pass_on_the_data_of_its_event() -> None:
    """It received an immutable dict, of another type than dict."""
    contract = Contract(
        uri="#/echo",
        type="com.echo.dict",
        versions={"1.0.0": Version(accepts=Score, emits={"evt.echo.dict": Score})},
    )

    def echo(event: Event[Score]) -> Emit:
        return Emit(event.data)

    event = contract["1.0.0"].accepts({"score": 1, "checked": True}, source="com.front.desk")
    [answer] = run(System([EventHandler(contract, {"1.0.0": echo})]), event).answers

    assert answer.raw == {"score": 1, "class": True}
