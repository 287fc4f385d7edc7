"""Functions: cases beyond the laws: event attributes, mistakes, effects in a system."""

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
from arvo.handlers.invoke import invoke
from tests.shop import (
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    ShipmentBooked,
    charge_request,
    payment_handler,
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


def invoke_charging(function: Function, **options: Any) -> Any:
    return invoke(function, charge_request(**options), (), stack=False)


def test_a_sequence_in_a_system_asks_for_the_effects_of_its_parts() -> None:
    """The engine sees one function, whatever its parts."""
    system = System([payment_handler(sequence(price, settle))])

    trace = run(system, charge_request(), effects={ask_bank: lambda order_id: f"r-{order_id}"})

    assert [event.data for event in trace.answers] == [CardCharged("r-o1")]


def test_each_part_sees_the_consumed_event_with_its_own_payload() -> None:
    """The caller and the subject are the same for every part."""
    seen: list[Event[Any]] = []

    def named(event: Event[Any]) -> Emit:
        return Emit({"n": 1}, type="com.counted.out")

    invoke_charging(sequence(price, seen.append))
    invoke_charging(sequence(named, seen.append))

    consumed: Event[Any] = charge_request()
    assert seen == [
        evolve(consumed, data=BookShipment("o1"), wire=None),
        evolve(consumed, data={"n": 1}, wire=None, type="com.counted.out"),
    ]
    assert [event.data for event in seen] == [BookShipment("o1"), {"n": 1}]


@pytest.mark.parametrize(
    ("emit", "message"),
    [
        (Emit(BookShipment("o"), to="com.b"), "emit.to: expected nothing (set it where the last"),
        (Emit(BookShipment("o"), domain="ops"), "emit.domain: expected nothing"),
        (Emit(BookShipment("o"), domain=None), "emit.domain: expected nothing"),
        (Emit(BookShipment("o"), id="mine"), "got 'mine'"),
        (Emit(BookShipment("o"), extensions={"a": 1}), "emit.extensions: expected nothing"),
        (Emit(5), "data: expected an object or an instance of a payload class, got 5"),
        (Emit(ChargeCard("o", cast("Any", "ten"))), "data.amount: expected a number"),
        (Emit(BookShipment("o"), type="No Type"), "type: expected lower-case segments"),
    ],
)
def test_an_emit_that_cannot_be_handed_on_is_a_violation(emit: Emit, message: str) -> None:
    """No option that a function sets on its event is lost silently."""
    [violate] = invoke_charging(sequence(lambda _: emit, settle))

    assert isinstance(violate, Violate)
    assert message in str(violate.violation)


def test_commands_of_workflows_only_are_passed_through() -> None:
    """The step refuses them, as it does for any handler."""
    commands: list[Command] = [Persist(1), Emit(BookShipment("o")), Compensate(BookShipment("o"))]

    assert invoke_charging(sequence(lambda _: commands, lambda _: Emit(ShipmentBooked("t")))) == (
        Persist(1),
        Emit(ShipmentBooked("t")),
        Compensate(BookShipment("o")),
    )
    assert invoke_charging(annotate(lambda _: Persist(1), to="com.b")) == (Persist(1),)
    assert invoke_charging(map_output(lambda _: Persist(1), str)) == (Persist(1),)


def test_a_failure_keeps_the_logs_and_nothing_else() -> None:
    """Log entries before and after the failure are written; other commands are dropped."""

    def logs(_: Event[Any]) -> list[Any]:
        return [Log("info", "a"), *[Emit(BookShipment("o"))] * 2, Log("info", "b")]

    def fails(_: Event[Any]) -> tuple[Log, Fail]:
        return Log("info", "c"), Fail("no")

    assert invoke_charging(sequence(logs, fails)) == (
        Log("info", "a"),
        Log("info", "c"),
        Log("info", "b"),
        Fail("no"),
    )


@pytest.mark.parametrize("stack", [True, False])
def test_an_exception_of_a_part_carries_its_stack_where_stacks_are_on(stack: bool) -> None:
    """B37, leaked stack traces: they are off by default, also in a composed function."""
    for function in (sequence(price, broken), annotate(guard(broken, price), Log("info", "x"))):
        nested = sequence(guard(function, lambda _: None), identity)
        commands = invoke(nested, charge_request(), (), stack=stack)
        assert isinstance(commands, tuple)
        for fail in commands:
            if isinstance(fail, Fail):
                assert (fail.name, "broken" in (fail.stack or "")) == ("ValueError", stack)


def test_an_effects_error_reaches_the_parts_own_try() -> None:
    """A part may catch the error itself; `recover` receives an uncaught one."""

    def careful(event: Event[BookShipment]) -> Effects[Emit]:
        try:
            receipt = yield from call(ask_bank, event.data.order_id)
        except ConnectionError as error:
            return Emit(CardDeclined(str(error)))
        return Emit(CardCharged(receipt))

    down = [Performed(Perform(ask_bank, ("o1",)), error=ConnectionError("down"))]
    rescued = recover(sequence(price, settle), lambda _, fail: Emit(CardDeclined(fail.name)))

    assert invoke(sequence(price, careful), charge_request(), down, stack=False) == (
        Emit(CardDeclined("down")),
    )
    assert invoke(rescued, charge_request(), down, stack=False) == (
        Emit(CardDeclined("ConnectionError")),
    )


def test_called_directly_it_runs_like_any_generator() -> None:
    """A unit test needs no engine; an error may be thrown in."""
    running = cast("Any", sequence(price, settle)(charge_request()))

    assert next(running) == Perform(ask_bank, ("o1",))
    with pytest.raises(StopIteration) as stop:
        running.throw(ConnectionError("down"))
    assert stop.value.value == (Fail("down", name="ConnectionError"),)


def test_a_finally_of_a_part_may_ask_for_effects_of_its_own() -> None:
    """Each effect ends the run, and closes the part's `finally` with it."""

    def tidy(event: Event[Any]) -> Effects[Emit]:
        try:
            yield from call(ask_bank, "work")
        finally:
            yield from call(ask_bank, "cleanup")
        return Emit(event.data)

    done = [Performed(Perform(ask_bank, (key,)), value="x") for key in ("work", "cleanup")]

    steps = [
        invoke(sequence(tidy, tidy), charge_request(), done[:n], stack=False) for n in range(3)
    ]
    gc.collect()

    assert steps == [*(each.effect for each in done), Perform(ask_bank, ("work",))]


def test_an_event_of_no_branch_is_a_violation_that_names_the_remedy() -> None:
    """An event that no branch handles must not be lost silently."""

    def is_dear(event: Event[ChargeCard]) -> bool:
        return event.data.amount > 100

    with pytest.raises(Violated) as violated:
        choose((is_dear, price))(charge_request())

    assert str(violated.value.violation) == (
        "no branch accepts this event: event.data: expected an event for which one of these holds: "
        "is_dear (or pass otherwise=...), got ChargeCard(order_id='o1', amount=10.0)"
    )


async def late(_: Event[Any]) -> bool:
    return True


@pytest.mark.parametrize(
    "predicate", [lambda it: late(it), lambda _: None, lambda _: 1, lambda _: Success("yes")]
)
def test_a_predicate_returns_a_bool_and_no_other_truthy_value(predicate: Any) -> None:
    """The coroutine of an `async` check is truthy, and would allow every event."""
    result = invoke_charging(authorise(price, predicate))
    gc.collect()

    assert isinstance(result, ExecutionViolation)
    assert "expected True or False (I/O by `yield from call(...)`)" in str(result)


def test_a_predicate_may_ask_for_an_effect() -> None:
    """Permissions are often held in another system."""

    def known(event: Event[ChargeCard]) -> Effects[bool]:
        return (yield from call(ask_bank, event.data.order_id)) == "known"

    system = System(
        [payment_handler(authorise(lambda _: Emit(CardCharged("r")), known, reason="unknown"))]
    )
    answers = [
        run(system, charge_request(), effects={ask_bank: lambda _, status=status: status})
        .answers[0]
        .data
        for status in ("known", "unknown")
    ]

    assert answers[0] == CardCharged("r")
    assert (answers[1].name, answers[1].message) == ("Unauthorised", "unknown")


def test_a_guard_may_answer_in_place_of_the_function() -> None:
    """A refusal may be a business failure (tier 1): an event of the contract."""

    def limit(event: Event[ChargeCard]) -> Emit | None:
        return Emit(CardDeclined("limit")) if event.data.amount > 100 else None

    limited = guard(lambda _: Emit(CardCharged("r")), limit)

    assert invoke_charging(limited) == (Emit(CardCharged("r")),)
    assert invoke_charging(limited, key="c2") == (Emit(CardCharged("r")),)
    assert invoke(limited, charge_request(amount=200.0), (), stack=False) == (
        Emit(CardDeclined("limit")),
    )


def test_an_annotation_sets_the_options_that_the_emit_leaves_unset() -> None:
    """Domain None is a value, and so it stays."""
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

    options: dict[str, Any] = {"accesscontrol": "staff", "executionunits": 3}
    assert invoke_charging(annotated) == (
        Log("info", "charging"),
        Emit(CardCharged("a"), domain=None, extensions={"a": 1, "b": 2}, **options),
        Emit(CardCharged("b"), domain="ops", extensions={"a": 2, "b": 2}, **options),
    )


@frozen
class Legacy:
    key: str
    cents: int


def test_payloads_are_mapped_in_and_out() -> None:
    """A function of other payload classes can serve a contract."""
    seen: list[object] = []

    def old(event: Event[Legacy]) -> Emit:
        seen.append(event.data)
        return Emit(Legacy(event.data.key, 0), type="evt.payment.charged", accesscontrol="staff")

    def in_cents(card: ChargeCard) -> Legacy:
        return Legacy(card.order_id, round(card.amount * 100))

    adapted = map_output(map_input(old, in_cents), lambda legacy: CardCharged(legacy.key))

    assert invoke_charging(adapted) == (
        Emit(CardCharged("o1"), type="evt.payment.charged", accesscontrol="staff"),
    )
    assert seen == [Legacy("o1", 1000)]


async def convert(_: object) -> object:
    return 1


def test_an_async_conversion_is_a_violation() -> None:
    """Only a handler's function can ask for I/O."""
    result = invoke_charging(map_input(price, cast("Any", lambda it: convert(it))))
    [violate] = invoke_charging(map_output(price, lambda it: convert(it)))
    gc.collect()

    assert "a payload is converted by a plain function: <lambda>: expected" in str(result)
    assert violate == Violate(result)


@pytest.mark.parametrize(
    ("compose", "message"),
    [
        (lambda: sequence(price, cast("Any", None)), "sequence[1]: expected a function, got None"),
        (
            lambda: sequence(cast("Any", payment_handler(price)), price),
            "to make one of two EventHandlers",
        ),
        (lambda: choose(cast("Any", price)), "expected pairs of a predicate and a function"),
        (lambda: recover(price, cast("Any", Fail("no"))), "recover[1]: expected a function"),
        (
            lambda: authorise(price, cast("Any", late)),
            "authorise[1]: expected a plain function, with I/O by `yield from call(...)`, got",
        ),
    ],
)
def test_a_part_that_is_no_function_is_refused_where_it_is_composed(
    compose: Callable[[], object], message: str
) -> None:
    """The mistake is found at import, not with the first event."""
    with pytest.raises(Violated) as violated:
        compose()

    assert message in str(violated.value)


def test_too_many_commands_are_a_violation() -> None:
    """Each function may return 10,000; two of them must not return their product."""

    def many(event: Event[Any]) -> list[Emit]:
        return [Emit(event.data)] * 200

    [*_, violate] = invoke_charging(sequence(many, many, many))

    assert "at most 10000 commands" in str(violate)


def test_the_repr_of_a_composed_function_shows_its_parts() -> None:
    """It appears in a debugger, and in messages."""

    def same(_: Event[Any], fail: Fail) -> Fail:
        return fail

    assert repr(sequence(price, recover(settle, same))) == "sequence(price, recover(settle, same))"
    assert sequence(price) is price
    assert sequence(identity, identity) is identity
