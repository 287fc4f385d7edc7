"""Compose: what the laws do not say: envelopes, mistakes, effects in a system."""

import gc
from collections.abc import Callable
from typing import Any, cast

import pytest
from attrs import evolve, frozen

from arvo import (
    Command,
    Compensate,
    Effects,
    Emit,
    Event,
    ExecutionViolation,
    Fail,
    Log,
    Perform,
    Performed,
    Persist,
    Success,
    System,
    Violate,
    Violated,
    call,
    run,
)
from arvo.compose import (
    annotate,
    authorise,
    choose,
    guard,
    identity,
    map_input,
    map_output,
    recover,
    sequence,
)
from arvo.handlers.invoke import reply
from tests.shop import (
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    ShipmentBooked,
    charging,
    paying,
)

Function = Callable[[Event[Any]], Any]


def ask_bank(order_id: str) -> str:
    raise NotImplementedError("answered by a table")


def price(event: Event[ChargeCard]) -> Emit:
    return Emit(BookShipment(event.data.order_id))


def settle(event: Event[BookShipment]) -> Effects[Emit]:
    return Emit(CardCharged((yield from call(ask_bank, event.data.order_id))))


def broken(_: Event[Any]) -> None:
    raise ValueError("broken")


def replied(function: Function, **envelope: Any) -> Any:
    return reply(function, charging(**envelope), (), stack=False)


def test_a_sequence_in_a_system_asks_for_the_effects_of_its_parts() -> None:
    """The engine sees one function, whatever it is made of."""
    system = System([paying(sequence(price, settle))])

    trace = run(system, charging(), effects={ask_bank: lambda order_id: f"r-{order_id}"})

    assert [event.data for event in trace.answers] == [CardCharged("r-o1")]


def test_each_part_sees_the_consumed_event_with_its_own_payload() -> None:
    """Who asked, and on whose behalf, is the same all the way."""
    seen: list[Event[Any]] = []

    def named(event: Event[Any]) -> Emit:
        return Emit({"n": 1}, type="com.counted.out")

    replied(sequence(price, seen.append))
    replied(sequence(named, seen.append))

    asked: Event[Any] = charging()
    assert seen == [
        evolve(asked, data=BookShipment("o1"), wire=None),
        evolve(asked, data={"n": 1}, wire=None, type="com.counted.out"),
    ]
    assert [each.data for each in seen] == [BookShipment("o1"), {"n": 1}]


@pytest.mark.parametrize(
    ("emit", "told"),
    [
        (Emit(BookShipment("o"), to="com.b"), "emit.to: expected nothing (say it where the last"),
        (Emit(BookShipment("o"), domain="ops"), "emit.domain: expected nothing"),
        (Emit(BookShipment("o"), domain=None), "emit.domain: expected nothing"),
        (Emit(BookShipment("o"), id="mine"), "got 'mine'"),
        (Emit(BookShipment("o"), extensions={"a": 1}), "emit.extensions: expected nothing"),
        (Emit(5), "data: expected an object or an instance of an attrs class, got 5"),
        (Emit(ChargeCard("o", cast("Any", "ten"))), "data.amount: expected a number"),
        (Emit(BookShipment("o"), type="No Type"), "type: expected lower-case segments"),
    ],
)
def test_what_cannot_be_handed_on_is_a_violation_that_says_what(emit: Emit, told: str) -> None:
    """Nothing that a function says of its event is lost without a word."""
    [violate] = replied(sequence(lambda _: emit, settle))

    assert isinstance(violate, Violate)
    assert told in str(violate.violation)


def test_what_only_workflows_may_want_is_passed_through() -> None:
    """The step says of it what it says of any handler."""
    wants: list[Command] = [Persist(1), Emit(BookShipment("o")), Compensate(BookShipment("o"))]

    assert replied(sequence(lambda _: wants, lambda _: Emit(ShipmentBooked("t")))) == (
        Persist(1),
        Emit(ShipmentBooked("t")),
        Compensate(BookShipment("o")),
    )
    assert replied(annotate(lambda _: Persist(1), to="com.b")) == (Persist(1),)
    assert replied(map_output(lambda _: Persist(1), str)) == (Persist(1),)


def test_a_failure_keeps_the_logs_and_nothing_else() -> None:
    """What was said before and beside it is said; what was wanted is not."""

    def talks(_: Event[Any]) -> list[Any]:
        return [Log("info", "a"), *[Emit(BookShipment("o"))] * 2, Log("info", "b")]

    def fails(_: Event[Any]) -> tuple[Log, Fail]:
        return Log("info", "c"), Fail("no")

    assert replied(sequence(talks, fails)) == (
        Log("info", "a"),
        Log("info", "c"),
        Log("info", "b"),
        Fail("no"),
    )


@pytest.mark.parametrize("stack", [True, False])
def test_an_exception_of_a_part_tells_its_stack_where_stacks_are_asked_for(stack: bool) -> None:
    """B37: `System(stacks=True)` is for whoever must find out, also in a composed function."""
    for function in (sequence(price, broken), annotate(guard(broken, price), Log("info", "x"))):
        nested = sequence(guard(function, lambda _: None), identity)
        replied = reply(nested, charging(), (), stack=stack)
        assert isinstance(replied, tuple)
        for fail in replied:
            if isinstance(fail, Fail):
                assert (fail.name, "broken" in (fail.stack or "")) == ("ValueError", stack)


def test_an_effects_error_reaches_the_parts_own_try() -> None:
    """A part does not know that it is one; what it does not catch, `recover` does."""

    def careful(event: Event[BookShipment]) -> Effects[Emit]:
        try:
            receipt = yield from call(ask_bank, event.data.order_id)
        except ConnectionError as error:
            return Emit(CardDeclined(str(error)))
        return Emit(CardCharged(receipt))

    down = [Performed(Perform(ask_bank, ("o1",)), error=ConnectionError("down"))]
    rescued = recover(sequence(price, settle), lambda _, fail: Emit(CardDeclined(fail.name)))

    assert reply(sequence(price, careful), charging(), down, stack=False) == (
        Emit(CardDeclined("down")),
    )
    assert reply(rescued, charging(), down, stack=False) == (Emit(CardDeclined("ConnectionError")),)


def test_called_by_itself_it_is_played_like_any_generator() -> None:
    """A unit test needs no engine; an error may be thrown in."""
    made = cast("Any", sequence(price, settle)(charging()))

    assert next(made) == Perform(ask_bank, ("o1",))
    with pytest.raises(StopIteration) as stop:
        made.throw(ConnectionError("down"))
    assert stop.value.value == (Fail("down", name="ConnectionError"),)


def test_a_finally_of_a_part_may_ask_for_effects_of_its_own() -> None:
    """Each effect ends the run, and the part's `finally` is closed with it."""

    def tidy(event: Event[Any]) -> Effects[Emit]:
        try:
            yield from call(ask_bank, "work")
        finally:
            yield from call(ask_bank, "cleanup")
        return Emit(event.data)

    done = [Performed(Perform(ask_bank, (key,)), value="x") for key in ("work", "cleanup")]

    steps = [reply(sequence(tidy, tidy), charging(), done[:n], stack=False) for n in range(3)]
    gc.collect()

    assert steps == [*(each.effect for each in done), Perform(ask_bank, ("work",))]


def test_no_branch_is_a_violation_that_says_what_to_do() -> None:
    """An event that falls through in silence would be lost."""

    def is_dear(event: Event[ChargeCard]) -> bool:
        return event.data.amount > 100

    with pytest.raises(Violated) as violated:
        choose((is_dear, price))(charging())

    assert str(violated.value.violation) == (
        "no branch takes this event: event.data: expected what one of these holds for: is_dear "
        "(or say choose(..., otherwise=...)), got ChargeCard(order_id='o1', amount=10.0)"
    )


async def late(_: Event[Any]) -> bool:
    return True


@pytest.mark.parametrize("says", [late, lambda _: None, lambda _: 1, lambda _: Success("yes")])
def test_a_predicate_says_yes_or_no_and_nothing_that_passes_for_it(says: Any) -> None:
    """The coroutine of an `async` check is true, and would let everybody in."""
    found = replied(authorise(price, says))
    gc.collect()

    assert isinstance(found, ExecutionViolation)
    assert "expected True or False (I/O by `yield from call(...)`)" in str(found)


def test_a_predicate_may_ask_for_an_effect() -> None:
    """Who may do what is often known elsewhere."""

    def known(event: Event[ChargeCard]) -> Effects[bool]:
        return (yield from call(ask_bank, event.data.order_id)) == "known"

    system = System([paying(authorise(lambda _: Emit(CardCharged("r")), known, reason="unknown"))])
    answers = [
        run(system, charging(), effects={ask_bank: lambda _, said=said: said}).answers[0].data
        for said in ("known", "nobody")
    ]

    assert answers[0] == CardCharged("r")
    assert (answers[1].name, answers[1].message) == ("Unauthorised", "unknown")


def test_a_guard_may_answer_in_place_of_the_function() -> None:
    """Tier 1: to be refused may be an answer that the contract names."""

    def limit(event: Event[ChargeCard]) -> Emit | None:
        return Emit(CardDeclined("limit")) if event.data.amount > 100 else None

    limited = guard(lambda _: Emit(CardCharged("r")), limit)

    assert replied(limited) == (Emit(CardCharged("r")),)
    assert replied(limited, key="c2") == (Emit(CardCharged("r")),)
    assert reply(limited, charging(amount=200.0), (), stack=False) == (Emit(CardDeclined("limit")),)


def test_an_annotation_says_what_the_emit_leaves_open() -> None:
    """Domain None is said, and so stays."""
    annotated = annotate(
        lambda _: [
            Emit(CardCharged("a"), domain=None, extensions={"a": 1}),
            Emit(CardCharged("b")),
        ],
        Log("info", "charging"),
        domain="ops",
        accesscontrol="staff",
        executionunits=3,
        extensions={"a": 2, "b": 2},
    )

    said: dict[str, Any] = {"accesscontrol": "staff", "executionunits": 3}
    assert replied(annotated) == (
        Log("info", "charging"),
        Emit(CardCharged("a"), domain=None, extensions={"a": 1, "b": 2}, **said),
        Emit(CardCharged("b"), domain="ops", extensions={"a": 2, "b": 2}, **said),
    )


@frozen
class Legacy:
    key: str
    cents: int


def test_payloads_are_mapped_in_and_out() -> None:
    """A function of one vocabulary serves a contract of another."""
    seen: list[object] = []

    def old(event: Event[Legacy]) -> Emit:
        seen.append(event.data)
        return Emit(Legacy(event.data.key, 0), type="evt.payment.charged", accesscontrol="staff")

    def in_cents(card: ChargeCard) -> Legacy:
        return Legacy(card.order_id, round(card.amount * 100))

    adapted = map_output(map_input(old, in_cents), lambda made: CardCharged(made.key))

    assert replied(adapted) == (
        Emit(CardCharged("o1"), type="evt.payment.charged", accesscontrol="staff"),
    )
    assert seen == [Legacy("o1", 1000)]


async def convert(_: object) -> object:
    return 1


def test_a_conversion_that_waits_is_told_how_it_is_done() -> None:
    """I/O is for a handler's function to ask for."""
    found = replied(map_input(price, cast("Any", convert)))
    [violate] = replied(map_output(price, convert))
    gc.collect()

    assert "a payload is converted by a plain function: convert: expected" in str(found)
    assert violate == Violate(found)


@pytest.mark.parametrize(
    ("compose", "told"),
    [
        (lambda: sequence(price, cast("Any", None)), "sequence[1]: expected a function, got None"),
        (lambda: sequence(cast("Any", paying(price)), price), "to make one of two EventHandlers"),
        (lambda: choose(cast("Any", price)), "expected pairs of a predicate and a function"),
        (lambda: recover(price, cast("Any", Fail("no"))), "recover[1]: expected a function"),
    ],
)
def test_what_is_no_function_is_refused_where_it_is_composed(
    compose: Callable[[], object], told: str
) -> None:
    """Found at import, not with the first event."""
    with pytest.raises(Violated) as violated:
        compose()

    assert told in str(violated.value)


def test_too_many_commands_are_a_violation() -> None:
    """Each function may want 10,000; two of them must not want their product."""

    def many(event: Event[Any]) -> list[Emit]:
        return [Emit(event.data)] * 200

    [*_, violate] = replied(sequence(many, many, many))

    assert "at most 10000 commands" in str(violate)


def test_a_composed_function_says_what_it_is_made_of() -> None:
    """Seen in a debugger, and in messages."""

    def keep(_: Event[Any], fail: Fail) -> Fail:
        return fail

    assert repr(sequence(price, recover(settle, keep))) == "sequence(price, recover(settle, keep))"
    assert sequence(price) is price
    assert sequence(identity, identity) is identity
