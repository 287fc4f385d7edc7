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
from arvo.handlers.invoke import normalise
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
    assert outcome(sequence(lambda e: identity(e), f), event) == outcome(f, event)


@given(programs(options=True), numbers())
def test_identity_after_a_function_is_that_function(f: Program, event: Event[Number]) -> None:
    """Right identity of `sequence`: the options of the function's events are retained."""
    assert outcome(sequence(f, identity), event) == outcome(f, event)


@given(programs(), programs(), programs(options=True), numbers())
def test_sequence_is_associative(f: Program, g: Program, h: Program, event: Event[Number]) -> None:
    """A long sequence may be split anywhere; the effects keep their order."""
    whole = outcome(sequence(f, g, h), event)

    note(f"effects: {min(len(whole[0]), 4)}, {type(whole[1]).__name__}")
    assert outcome(sequence(f, sequence(g, h)), event) == whole
    assert outcome(sequence(sequence(f, g), h), event) == whole


@given(programs(emits_max=1), programs(emits_max=1), programs(options=True), numbers())
def test_sequence_is_associative_where_its_parts_are_opaque(
    f: Program, g: Program, h: Program, event: Event[Number]
) -> None:
    """Where each function emits at most once, a nested sequence need not be flattened."""

    def hidden(function: Function) -> Function:
        return lambda e: function(e)

    whole = outcome(sequence(f, g, h), event)
    assert outcome(sequence(f, hidden(sequence(g, h))), event) == whole
    assert outcome(sequence(hidden(sequence(f, g)), h), event) == whole


@given(programs(), programs(), numbers())
def test_sequence_hands_each_payload_on_in_its_place_until_one_fails(
    f: Program, g: Program, event: Event[Number]
) -> None:
    """The definition of `sequence`: after a failure no function runs and no effect is asked for."""
    effects, result = outcome(f, event)
    expected: list[Any] = []
    for command in commands_of((effects, result)):
        if _is_ended(expected) and isinstance(command, Emit):
            continue
        followed: Outcome = ([], (command,))
        if isinstance(command, Emit):
            followed = outcome(g, evolve(event, data=command.payload, wire=None))
        effects = effects + followed[0]
        expected += commands_of(followed)

    note("ended early" if _is_ended(expected) else "done")
    assert outcome(sequence(f, g), event) == (effects, _alone(normalise(tuple(expected))))


def _is_ended(commands: Iterable[Any]) -> bool:
    return any(isinstance(command, Fail | Violate) for command in commands)


def _alone(commands: tuple[Any, ...]) -> Any:
    # `outcome` returns a violation alone.
    violate = commands[-1] if commands else None
    return violate.violation if isinstance(violate, Violate) else commands


@given(programs(), programs(), numbers())
def test_a_function_that_fails_or_violates_is_its_sequence(
    f: Program, g: Program, event: Event[Number]
) -> None:
    """Short circuit."""
    ended = outcome(f, event)

    if _is_ended(commands_of(ended)):
        assert outcome(sequence(f, g), event) == ended


@given(PREDICATES, programs(), programs(), numbers())
def test_the_first_branch_whose_predicate_holds_answers(
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
def test_a_function_after_a_choice_may_be_written_in_each_branch(
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
    """A success or violation passes through; logs stay; the `Fail` reaches the recovery."""
    received: list[Fail] = []

    def with_(consumed: Event[Number], fail: Fail) -> Any:
        assert consumed is event
        received.append(fail)
        return g(consumed)

    effects, result = outcome(f, event)
    got = outcome(recover(f, with_), event)

    match result:
        case (*logs, Fail() as fail):
            recovered = outcome(g, event)
            assert got == (effects + recovered[0], _alone((*logs, *commands_of(recovered))))
            assert set(received) == {fail}
        case _:
            assert got == (effects, result)
            assert received == []


@given(programs(options=True), numbers())
def test_failing_again_is_no_recovery(f: Program, event: Event[Number]) -> None:
    """The unit of `recover`."""
    assert outcome(recover(f, lambda _, fail: fail), event) == outcome(f, event)


@given(programs(), programs(), programs(), numbers())
def test_recovery_is_associative(f: Program, v: Program, w: Program, event: Event[Number]) -> None:
    """Two nested recoveries are one recovery, which is itself recovered from."""

    def first(consumed: Event[Number], _: Fail) -> Any:
        return v(consumed)

    def second(consumed: Event[Number], fail: Fail) -> Any:
        return (Log("info", fail.reason), Emit(Number(0))) if w.plain else w(consumed)

    def both(consumed: Event[Number], fail: Fail) -> Any:
        return recover(lambda e: first(e, fail), second)(consumed)

    nested = recover(recover(f, first), second)
    assert outcome(nested, event) == outcome(recover(f, both), event)


@given(programs(), CONVERSIONS, CONVERSIONS, numbers())
def test_map_input_is_a_contravariant_functor(
    f: Program, a: Any, b: Any, event: Event[Number]
) -> None:
    """Identity, composition, and its definition by `sequence`."""
    assert outcome(map_input(f, lambda x: x), event) == outcome(f, event)
    assert outcome(map_input(map_input(f, a), b), event) == outcome(
        map_input(f, lambda x: a(b(x))), event
    )
    assert outcome(map_input(f, a), event) == outcome(sequence(lambda e: Emit(a(e.data)), f), event)


@given(programs(options=True), TOTAL, TOTAL, numbers())
def test_map_output_is_a_functor(f: Program, a: Any, b: Any, event: Event[Number]) -> None:
    """Identity and composition."""
    assert outcome(map_output(f, lambda x: x), event) == outcome(f, event)
    assert outcome(map_output(map_output(f, a), b), event) == outcome(
        map_output(f, lambda x: b(a(x))), event
    )


@given(programs(), programs(options=True), TOTAL, numbers())
def test_mapping_the_end_of_a_sequence_maps_the_sequence(
    f: Program, g: Program, a: Any, event: Event[Number]
) -> None:
    """The position of the brackets does not matter."""
    assert outcome(map_output(sequence(f, g), a), event) == outcome(
        sequence(f, map_output(g, a)), event
    )


@given(programs(options=True), programs(), programs(), numbers())
def test_guards_run_from_the_outside_in(
    f: Program, a: Program, b: Program, event: Event[Number]
) -> None:
    """Unit, associativity, and that the answer of a guard is the whole answer."""
    assert outcome(guard(f, lambda _: None), event) == outcome(f, event)
    assert outcome(guard(guard(f, b), a), event) == outcome(guard(f, guard(b, a)), event)
    checked = outcome(a, event)
    if not all(isinstance(command, Log) for command in commands_of(checked)):
        assert outcome(guard(f, a), event) == checked


@given(programs(options=True), PREDICATES, PREDICATES, numbers())
def test_authorised_twice_is_authorised_by_both(
    f: Program, p: Any, q: Any, event: Event[Number]
) -> None:
    """It is the function itself where both allow it, else a failure, also where one raises."""
    got = outcome(authorise(authorise(f, p), q), event)

    assert got == outcome(authorise(f, lambda e: q(e) and p(e)), event)
    try:
        allowed = q(event) and p(event)
    except ZeroDivisionError as error:
        assert got == ([], (Fail.of(error),))
        return
    unauthorised = Fail("not authorised", name="Unauthorised")
    assert got == (outcome(f, event) if allowed else ([], (unauthorised,)))


@given(programs(options=True), ANNOTATIONS, ANNOTATIONS, numbers())
def test_annotations_merge_and_the_inner_one_wins(
    f: Program, a: dict[str, Any], b: dict[str, Any], event: Event[Number]
) -> None:
    """Unit, idempotence, and merging."""
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
    """Called directly, without an engine, it is an ordinary function of a handler."""
    composed = sequence(f, g)

    returned = composed(event)

    effects, result = outcome(composed, event)
    assert isinstance(returned, Generator) == bool(effects)
    if not isinstance(returned, Generator) and not isinstance(result, type(BROKEN)):
        assert returned == result
    assert outcome(lambda e: composed(e), event) == (effects, result)
