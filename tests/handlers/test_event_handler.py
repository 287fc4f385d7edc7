"""EventHandler: the functions of a contract, and the events that they answer."""

from functools import partial
from typing import Any

import pytest
from attrs import frozen

from arvo import (
    ConfigViolation,
    Contract,
    ContractViolation,
    Emit,
    Event,
    EventHandler,
    Managed,
    ManagedId,
    Resumable,
    System,
    Version,
    Violated,
)
from tests.shop import (
    WEB,
    CardCharged,
    ChargeCard,
    charge,
    charge_request,
    expect_commit,
    expect_violation,
    order,
    payment_handler,
)


def ok(_: Event[Any]) -> Emit:
    return Emit(CardCharged("r"))


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({}, "handler.1.0.0: expected a function for this version, got nothing"),
        ({"1.0.0": ok, "2.0.0": ok}, "handler.2.0.0: expected one of 1.0.0, got a function"),
    ],
)
def test_each_version_has_its_function_and_each_function_a_version(
    functions: dict[str, Any], message: str
) -> None:
    """The mistake is found at construction, not with the first event of that version."""
    with pytest.raises(Violated) as violated:
        EventHandler(charge, functions)

    assert message in str(violated.value)


async def late(_: Event[Any]) -> Emit:
    return Emit(CardCharged("r"))


class Late:
    async def __call__(self, _: Event[Any]) -> Emit:
        return Emit(CardCharged("r"))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (late, "expected a plain function, with I/O by `yield from call(...)`, got the async late"),
        (Late(), "expected a plain function, with I/O by `yield from call(...)`, got the async "),
        (lambda: None, "expected a function of one argument, the {it}, got <lambda>()"),
        (lambda a, b: None, "expected a function of one argument, the {it}, got <lambda>(a, b)"),
        (lambda *, event: None, "of one argument, the {it}, got <lambda>(*, event)"),
        (partial(ok, charge_request()), "of one argument, the {it}, got functools.partial"),
        ("ok", "expected a function, got 'ok'"),
    ],
)
def test_a_function_that_no_event_can_be_given_to_is_refused(function: Any, message: str) -> None:
    """By name, at construction, and with the arguments that it takes."""
    with pytest.raises(Violated) as of_event:
        EventHandler(charge, {"1.0.0": function})
    with pytest.raises(Violated) as of_turn:
        Resumable(order, {"1.0.0": function})

    assert message.format(it="event") in str(of_event.value)
    assert message.format(it="turn") in str(of_turn.value)


@pytest.mark.parametrize(
    "function",
    [ok, partial(ok), lambda *events: None, lambda event, more=1: None, print, [].append],
)
def test_any_function_that_takes_an_event_is_a_handlers(function: Any) -> None:
    """Also one with defaults, one of a library, and one that is bound."""
    assert EventHandler(charge, {"1.0.0": function}).functions == {"1.0.0": function}


@frozen
class Defaulted:
    n: int = 3


def test_the_function_receives_the_payload_as_its_class() -> None:
    """B29, a raw payload in the handler: defaults are applied, unknown keys removed."""
    seen: list[Event[Any]] = []
    contract = Contract(
        uri="#/d", type="com.d.d", versions={"1.0.0": Version(accepts=Defaulted, emits={})}
    )
    sent = contract["1.0.0"].accepts(Defaulted(), source=WEB)
    bare = Event.from_dict({**sent.to_dict(), "data": {"other": 1}})

    expect_commit(System([EventHandler(contract, {"1.0.0": seen.append})]), bare)

    assert [event.data for event in seen] == [Defaulted(3)]
    assert seen[0].raw == {"other": 1}


def two_versions() -> System:
    contract: Contract[object] = Contract(
        uri="#/v",
        type="com.v.v",
        versions={
            "1.0.0": Version[object](accepts=ChargeCard, emits={"evt.v.v": CardCharged}),
            "2.0.0": Version[object](accepts=Defaulted, emits={"evt.v.v": CardCharged}),
        },
    )
    return System(
        [
            EventHandler(
                contract,
                {
                    "1.0.0": lambda _: Emit(CardCharged("1")),
                    "2.0.0": lambda _: Emit(CardCharged("2")),
                },
            )
        ]
    )


def sent_as(dataschema: str | None, data: dict[str, Any]) -> Event[Any]:
    attributes = charge_request(to="com.v.v").to_dict()
    return Event.from_dict(
        {**attributes, "type": "com.v.v", "dataschema": dataschema, "data": data}
    )


def test_the_dataschema_chooses_the_version_and_without_one_the_latest_answers() -> None:
    """A sender without a schema gets the newest behaviour."""
    first = expect_commit(two_versions(), sent_as("#/v/1.0.0", {"order_id": "o", "amount": 1}))
    latest = expect_commit(two_versions(), sent_as(None, {}))

    assert first.events[0].data == CardCharged("1")
    assert latest.events[0].data == CardCharged("2")


@pytest.mark.parametrize(
    ("dataschema", "kind", "message"),
    [
        ("#/other/1.0.0", ContractViolation, "dataschema: expected #/v, got '#/other/1.0.0'"),
        ("#/v/3.0.0", ConfigViolation, "its handler implements (1.0.0, 2.0.0), got '3.0.0'"),
        ("#/v/0.0.0", ConfigViolation, "got '0.0.0'"),
        ("#/v/1.0.0", ContractViolation, "data.order_id: expected a value (required)"),
    ],
)
def test_an_event_that_does_not_fit_is_a_violation_with_its_reason(
    dataschema: str, kind: type, message: str
) -> None:
    """An unknown version, another contract, an invalid payload."""
    violation = expect_violation(two_versions(), sent_as(dataschema, {}))

    assert type(violation) is kind
    assert message in str(violation)


def test_two_domains_are_two_events_with_two_ids() -> None:
    """B33, one id for two domains: the second event would count as a duplicate of the first."""
    mine = expect_commit(
        System([payment_handler(lambda _: Emit(CardCharged("r"), id="mine", domain=("eu", "us")))]),
        charge_request(),
    )
    managed = expect_commit(
        System(
            [
                payment_handler(
                    lambda _: Emit(CardCharged("r"), id=Managed("m"), domain=("eu", "us"))
                )
            ]
        ),
        charge_request(),
    )

    assert [(event.id, event.domain) for event in mine.events] == [("mine", "eu"), ("mine.1", "us")]
    read = [ManagedId.parse(event.id) for event in managed.events]
    assert [id_ and id_.value for id_ in read] == ["m", "m"]
    assert len(set(read)) == 2


def test_one_id_for_two_commands_is_the_authors_mistake() -> None:
    """B33: a receiver would take the second event for a duplicate of the first."""
    twice = [Emit(CardCharged("a"), id="mine"), Emit(CardCharged("b"), id="mine")]

    assert "id: expected a unique id for each event, got 'mine'" in str(
        expect_violation(System([payment_handler(lambda _: twice)]), charge_request())
    )
