"""Laws of `arvo.compose`: functions that emit, log, fail, violate, raise and ask for effects."""

from collections.abc import Callable, Generator, Iterable
from typing import Any

from attrs import evolve
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import Emit, Event, Fail, Log, Violate
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
from arvo.handlers.invoke import settled
from property_tests.programs import (
    BROKEN,
    Number,
    Outcome,
    Program,
    commands_of,
    numbers,
    outcome,
    programs,
)

Function = Callable[[Event[Any]], Any]
TOTAL = st.sampled_from([lambda x: x, lambda x: Number(x.n + 1), lambda x: Number(-x.n)])
CONVERSIONS = TOTAL | st.just(lambda x: Number(1 // x.n))
PREDICATES = st.sampled_from(
    [
        lambda e: e.data.n % 2 == 0,
        lambda e: e.data.n > 2,
        lambda e: True,
        lambda e: 1 // e.data.n > 9,
    ]
)
ANNOTATIONS = st.fixed_dictionaries(
    {},
    optional={
        "to": st.sampled_from(["com.there", "com.here"]),
        "domain": st.sampled_from([None, "ops", ("ops", "eu")]),
        "redirectto": st.just("com.back"),
        "accesscontrol": st.sampled_from(["staff", "all"]),
        "executionunits": st.integers(0, 3),
        "extensions": st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 3)),
    },
)


@given(programs(), numbers())
def test_identity_before_a_function_is_that_function(f: Program, event: Event[Number]) -> None:
    """Left identity of `sequence`."""
    assert outcome(sequence(identity, f), event) == outcome(f, event)
    assert outcome(sequence(lambda each: identity(each), f), event) == outcome(f, event)


@given(programs(options=True), numbers())
def test_identity_after_a_function_is_that_function(f: Program, event: Event[Number]) -> None:
    """Right identity of `sequence`: what the function says of its events is kept."""
    assert outcome(sequence(f, identity), event) == outcome(f, event)


@given(programs(), programs(), programs(options=True), numbers())
def test_sequence_is_associative(f: Program, g: Program, h: Program, event: Event[Number]) -> None:
    """A long sequence may be cut and named anywhere; effects are asked for in the same order."""
    whole = outcome(sequence(f, g, h), event)

    note(f"effects: {min(len(whole[0]), 4)}, {type(whole[1]).__name__}")
    assert outcome(sequence(f, sequence(g, h)), event) == whole
    assert outcome(sequence(sequence(f, g), h), event) == whole


@given(programs(emits_max=1), programs(emits_max=1), programs(options=True), numbers())
def test_sequence_is_associative_out_of_sight(
    f: Program, g: Program, h: Program, event: Event[Number]
) -> None:
    """Where each emits once at most, it need not be seen that a part is a sequence itself."""

    def hidden(function: Function) -> Function:
        return lambda each: function(each)

    whole = outcome(sequence(f, g, h), event)
    assert outcome(sequence(f, hidden(sequence(g, h))), event) == whole
    assert outcome(sequence(hidden(sequence(f, g)), h), event) == whole


@given(programs(), programs(), numbers())
def test_sequence_hands_each_payload_on_in_its_place_until_one_fails(
    f: Program, g: Program, event: Event[Number]
) -> None:
    """What it is by definition; nothing is run behind a failure, nor are its effects asked for."""
    asked, wanted = outcome(f, event)
    expected: list[Any] = []
    for command in commands_of((asked, wanted)):
        if _halts(expected) and isinstance(command, Emit):
            continue
        followed: Outcome = ([], (command,))
        if isinstance(command, Emit):
            followed = outcome(g, evolve(event, data=command.payload, wire=None))
        asked = asked + followed[0]
        expected += commands_of(followed)

    note("halted" if _halts(expected) else "done")
    assert outcome(sequence(f, g), event) == (asked, _alone(settled(tuple(expected))))


def _halts(commands: Iterable[Any]) -> bool:
    return any(isinstance(each, Fail | Violate) for each in commands)


def _alone(commands: tuple[Any, ...]) -> Any:
    # Of a violation `outcome` tells nothing else.
    violate = commands[-1] if commands else None
    return violate.violation if isinstance(violate, Violate) else commands


@given(programs(), programs(), numbers())
def test_a_function_that_fails_or_violates_is_its_sequence(
    f: Program, g: Program, event: Event[Number]
) -> None:
    """Short circuit."""
    ended = outcome(f, event)

    if _halts(commands_of(ended)):
        assert outcome(sequence(f, g), event) == ended


@given(PREDICATES, programs(), programs(), numbers())
def test_the_first_branch_that_holds_answers(
    p: Any, f: Program, g: Program, event: Event[Number]
) -> None:
    """First match; a predicate that raises is a failure, and no branch is taken."""
    got = outcome(choose((p, f), otherwise=g), event)

    try:
        assert got == outcome(f if p(event) else g, event)
    except ZeroDivisionError as error:
        assert got == ([], (Fail.of(error),))
    assert outcome(choose(otherwise=g), event) == outcome(g, event)


@given(PREDICATES, programs(), programs(), programs(), numbers())
def test_what_follows_a_choice_may_be_written_in_each_branch(
    p: Any, f: Program, g: Program, h: Program, event: Event[Number]
) -> None:
    """`sequence` distributes over `choose` from the right."""
    before = sequence(choose((p, f), otherwise=g), h)
    within = choose((p, sequence(f, h)), otherwise=sequence(g, h))

    assert outcome(before, event) == outcome(within, event)


@given(programs(options=True), programs(), numbers())
def test_recovery_runs_exactly_where_there_is_a_failure(
    f: Program, g: Program, event: Event[Number]
) -> None:
    """What succeeds or violates passes through; logs stay; the `Fail` is handed on."""
    told: list[Fail] = []

    def with_(asked: Event[Number], fail: Fail) -> Any:
        assert asked is event
        told.append(fail)
        return g(asked)

    asked, wanted = outcome(f, event)
    got = outcome(recover(f, with_), event)

    match wanted:
        case (*logs, Fail() as fail):
            recovered = outcome(g, event)
            assert got == (asked + recovered[0], _alone((*logs, *commands_of(recovered))))
            assert set(told) == {fail}
        case _:
            assert got == (asked, wanted)
            assert told == []


@given(programs(options=True), numbers())
def test_failing_again_is_no_recovery(f: Program, event: Event[Number]) -> None:
    """The unit of `recover`."""
    assert outcome(recover(f, lambda _, fail: fail), event) == outcome(f, event)


@given(programs(), programs(), programs(), numbers())
def test_recovery_is_associative(f: Program, v: Program, w: Program, event: Event[Number]) -> None:
    """A second net below the first is one net."""

    def first(asked: Event[Number], _: Fail) -> Any:
        return v(asked)

    def second(asked: Event[Number], fail: Fail) -> Any:
        return (Log("info", fail.reason), Emit(Number(0))) if w.plain else w(asked)

    def both(asked: Event[Number], fail: Fail) -> Any:
        return recover(lambda each: first(each, fail), second)(asked)

    nested = recover(recover(f, first), second)
    assert outcome(nested, event) == outcome(recover(f, both), event)


@given(programs(), CONVERSIONS, CONVERSIONS, numbers())
def test_mapping_in_is_a_functor_turned_around(
    f: Program, a: Any, b: Any, event: Event[Number]
) -> None:
    """Identity, composition, and what it is by `sequence`."""
    assert outcome(map_input(f, lambda x: x), event) == outcome(f, event)
    assert outcome(map_input(map_input(f, a), b), event) == outcome(
        map_input(f, lambda x: a(b(x))), event
    )
    assert outcome(map_input(f, a), event) == outcome(
        sequence(lambda each: Emit(a(each.data)), f), event
    )


@given(programs(options=True), TOTAL, TOTAL, numbers())
def test_mapping_out_is_a_functor(f: Program, a: Any, b: Any, event: Event[Number]) -> None:
    """Identity and composition."""
    assert outcome(map_output(f, lambda x: x), event) == outcome(f, event)
    assert outcome(map_output(map_output(f, a), b), event) == outcome(
        map_output(f, lambda x: b(a(x))), event
    )


@given(programs(), programs(options=True), TOTAL, numbers())
def test_mapping_the_end_of_a_sequence_maps_the_sequence(
    f: Program, g: Program, a: Any, event: Event[Number]
) -> None:
    """It does not matter where the brackets are."""
    assert outcome(map_output(sequence(f, g), a), event) == outcome(
        sequence(f, map_output(g, a)), event
    )


@given(programs(options=True), programs(), programs(), numbers())
def test_guards_are_asked_from_the_outside_in(
    f: Program, a: Program, b: Program, event: Event[Number]
) -> None:
    """Unit, associativity, and that a guard which answers is the answer."""
    assert outcome(guard(f, lambda _: None), event) == outcome(f, event)
    assert outcome(guard(guard(f, b), a), event) == outcome(guard(f, guard(b, a)), event)
    checked = outcome(a, event)
    if not all(isinstance(each, Log) for each in commands_of(checked)):
        assert outcome(guard(f, a), event) == checked


@given(programs(options=True), PREDICATES, PREDICATES, numbers())
def test_authorised_twice_is_authorised_by_both(
    f: Program, p: Any, q: Any, event: Event[Number]
) -> None:
    """And is the function itself where both allow it, else a failure: also where one raises."""
    got = outcome(authorise(authorise(f, p), q), event)

    assert got == outcome(authorise(f, lambda each: q(each) and p(each)), event)
    try:
        allowed = q(event) and p(event)
    except ZeroDivisionError as error:
        assert got == ([], (Fail.of(error),))
        return
    unauthorised = Fail("not authorised", name="Unauthorised")
    assert got == (outcome(f, event) if allowed else ([], (unauthorised,)))


@given(programs(options=True), ANNOTATIONS, ANNOTATIONS, numbers())
def test_annotations_join_and_the_inner_one_has_the_last_word(
    f: Program, a: dict[str, Any], b: dict[str, Any], event: Event[Number]
) -> None:
    """Unit, idempotence, and joining."""
    extensions = {**b.get("extensions", {}), **a.get("extensions", {})}
    joined = {**b, **a, "extensions": extensions}

    assert outcome(annotate(f), event) == outcome(f, event)
    once = annotate(f, **a)
    assert outcome(annotate(once, **a), event) == outcome(once, event)
    assert outcome(annotate(once, **b), event) == outcome(annotate(f, **joined), event)


@given(programs(), programs(), numbers())
def test_a_composed_function_is_a_generator_exactly_where_a_part_asks(
    f: Program, g: Program, event: Event[Number]
) -> None:
    """Called by itself, without an engine, it is an ordinary handler's function."""
    made = sequence(f, g)

    returned = made(event)

    asked, wanted = outcome(made, event)
    assert isinstance(returned, Generator) == bool(asked)
    if not isinstance(returned, Generator) and not isinstance(wanted, type(BROKEN)):
        assert returned == wanted
    assert outcome(lambda each: made(each), event) == (asked, wanted)
