"""Laws of effects that run side by side: the order in which they end changes no result."""

from typing import Any

from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import Commit, Event, Perform, Performed, Record, System, step
from arvo.engine.history.replay_turn import calls_between, replay_turn
from property_tests.test_flows import (
    NOW,
    PROGRAMS,
    Program,
    begin,
    double,
    doubled,
    make_handler,
    reply_to,
)

# Branches that call, one inside the other. No `race`: the branch that ends first wins it.
_CALLS = st.recursive(
    st.tuples(st.just("call"), st.sampled_from([0, 1, 2, 4])),
    lambda inner: st.tuples(
        st.sampled_from(["seq", "gather"]), st.lists(inner, min_size=1, max_size=4)
    ),
    max_leaves=12,
)
ORDERS = st.lists(st.integers(0, 7), max_size=30)


def perform_in_order(
    system: System, event: Event[Any], record: Record | None, order: list[int]
) -> tuple[Commit, list[Performed], int]:
    """Take a step whose open effects end in a drawn order.

    Returns its commit, the results in that order, and the largest number of open effects.
    """
    performed: list[Performed] = []
    choices, most = iter(order), 0
    while True:
        result = step(system, event, record, now=NOW, performed=performed).unwrap()
        if not isinstance(result, Perform):
            return result, performed, most
        most = max(most, len(result.effects))
        effect = result.effects[next(choices, 0) % len(result.effects)]
        assert effect.function is double
        try:
            performed.append(Performed(effect, value=doubled(*effect.args)))
        except LookupError as error:
            performed.append(Performed(effect, error=error))


@given(_CALLS, ORDERS)
def test_a_flow_has_the_same_result_in_whatever_order_its_effects_end(
    program: Program, order: list[int]
) -> None:
    """`gather` returns the results in the order of its branches."""
    system = System([make_handler(program)])

    first, one, most = perform_in_order(system, begin(), None, [])
    second, other, _ = perform_in_order(system, begin(), None, order)

    note(f"open at the same time: {most}")
    assert first.record is not None
    assert second.record is not None
    assert [event.data for event in second.events] == [event.data for event in first.events]
    assert sorted(str(done.effect) for done in one) == sorted(str(done.effect) for done in other)


@given(PROGRAMS, ORDERS)
def test_a_step_depends_only_on_the_order_of_its_results(
    program: Program, order: list[int]
) -> None:
    """Another process that gets the same results in the same order decides the same."""
    handler = make_handler(program)
    system = System([handler])

    commit, performed, _ = perform_in_order(system, begin(), None, order)
    handler.cache.clear()
    again = step(system, begin(), None, now=NOW, performed=performed).unwrap()

    assert again == commit


@given(PROGRAMS, ORDERS)
def test_a_turn_is_replayed_in_the_order_in_which_its_effects_ended(
    program: Program, order: list[int]
) -> None:
    """The journal holds the order, so a replay needs no effect."""
    handler = make_handler(program)
    system = System([handler])

    commit, _, _ = perform_in_order(system, begin(), None, order)
    handler.cache.clear()
    calls = calls_between(None, commit.record)
    # A flow that fails keeps the journal from before the turn.
    is_recorded = commit.record is not None and commit.record.status != "failed"
    replayed = replay_turn(system, begin(), None, now=NOW, calls=calls, effects={})

    assert not is_recorded or replayed == commit


@given(PROGRAMS, ORDERS)
def test_the_next_turn_continues_from_the_journal(program: Program, order: list[int]) -> None:
    """A process that has not seen the turn continues as the one that has."""
    handler = make_handler(program)
    system = System([handler])
    commit, _, _ = perform_in_order(system, begin(), None, order)
    answer = next(filter(None, map(reply_to, commit.events)), None)
    if answer is None or commit.record is None:
        return

    warm, performed, _ = perform_in_order(system, answer.event, commit.record, order)
    handler.cache.clear()
    cold = step(system, answer.event, commit.record, now=NOW, performed=performed).unwrap()

    assert cold == warm
