"""Replay: a workflow's turns, taken again from its history, without side effects."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import attrs
import pytest

from arvo import (
    CallFailed,
    Commands,
    Complete,
    Effects,
    Emit,
    Event,
    ExecutionViolation,
    Flow,
    HistoryEntry,
    Persist,
    Record,
    System,
    Trace,
    Turn,
    Violate,
    ask,
    call,
    continue_as_new,
    decide,
    flow,
    replay,
    run,
    sleep,
)
from arvo.engine.history.revive import revived
from tests.histories import histories_of, written
from tests.shop import (
    NOW,
    SERVICES,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    OrderState,
    PlaceOrder,
    ShipmentBooked,
    answering,
    fulfil,
    order,
    payments,
    placing,
    shipping,
    shop,
    workflow,
)

T = TypeVar("T")

SUBJECT = placing().subject


def history_of(trace: Trace) -> tuple[HistoryEntry, ...]:
    return histories_of(trace)[SUBJECT]


def with_function(function: Callable[[Turn[Any]], Any], state: Any = None) -> System:
    """The shop, with another workflow."""
    return System([payments, shipping, workflow(function, state=state)])


def free_of_charge(turn: Turn[Any]) -> Commands:
    """The workflow of the shop, changed: it charges nothing."""
    if isinstance(turn.event.data, PlaceOrder):
        return Persist(None), Emit(ChargeCard(turn.event.data.order_id, 0.0))
    return fulfil(turn)


def test_a_history_replayed_by_the_same_system_agrees() -> None:
    """I3: the same events, ids and times included, and the same record in the end."""
    trace = run(shop, placing(), now=NOW)

    replayed = replay(shop, history_of(trace), record=trace.records[SUBJECT])

    assert replayed.agrees
    assert replayed.record == trace.records[SUBJECT]
    assert replayed.divergence is None
    assert str(replayed).splitlines() == [
        "turn 1, on arvo.orc.order.fulfil: agrees, sends com.payment.charge",
        "turn 2, on evt.payment.charged: agrees, sends com.shipping.book",
        "turn 3, on evt.shipping.booked: agrees, sends arvo.orc.order.fulfil.done",
    ]


def test_changed_code_shows_both_sides_of_the_first_turn_that_differs() -> None:
    """What would this change have done to the orders of last week?"""
    history = history_of(run(shop, placing(), now=NOW))

    replayed = replay(with_function(free_of_charge), history)

    assert not replayed.agrees
    assert replayed.divergence is replayed.turns[0]
    assert str(replayed.divergence).splitlines() == [
        "turn 1, on arvo.orc.order.fulfil: differs",
        "  events[0].data.amount",
        "    then: 10.0",
        "    now:  0.0",
    ]


def test_the_text_of_a_replay_shows_the_first_divergence_alone() -> None:
    """What follows from it is noise; that it is there, is told."""
    history = history_of(run(shop, placing(), now=NOW))

    def changed(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case PlaceOrder(order_id=order_id):
                return Persist(OrderState(order_id)), Emit(ChargeCard(order_id, 0.0))
            case ShipmentBooked():
                return Complete(OrderFulfilled("another"))
            case _:
                return fulfil(turn)

    replayed = replay(with_function(changed, state=OrderState), history)

    assert str(replayed).splitlines() == [
        "turn 1, on arvo.orc.order.fulfil: differs",
        "  events[0].data.amount",
        "    then: 10.0",
        "    now:  0.0",
        "turn 2, on evt.payment.charged: agrees, sends com.shipping.book",
        "turn 3, on evt.shipping.booked: differs",
    ]
    assert [given(turn.commit).events[0].data for turn in replayed.turns] == [
        ChargeCard("o1", 0.0),
        BookShipment("o1"),
        OrderFulfilled("another"),
    ]


def test_code_that_has_nothing_to_do_any_more_says_so() -> None:
    """It ended a turn earlier: what came then would be too late now."""
    history = history_of(run(shop, placing(), now=NOW))

    def hasty(turn: Turn[Any]) -> Commands:
        if isinstance(turn.event.data, CardCharged):
            return Complete(OrderFulfilled("t"))
        return fulfil(turn)

    last = replay(with_function(hasty, state=OrderState), history).turns[-1]

    assert str(last).splitlines() == [
        "turn 3, on evt.shipping.booked: differs",
        "  turn",
        "    then: taken",
        "    now:  nothing is done: the workflow is done",
    ]
    assert given(last.commit).outcome == "late"


def test_changed_code_that_sends_another_event_shows_both_events() -> None:
    """Not each attribute of two events that have nothing in common."""
    history = history_of(run(shop, placing(), now=NOW))

    def ships_at_once(turn: Turn[Any]) -> Commands:
        return Emit(BookShipment("o1")), Emit(ChargeCard("o1", 1.0))

    [first, *_] = replay(with_function(ships_at_once), history).turns

    assert list(map(str, first.differences)) == [
        (
            "events[0]: expected com.payment.charge {'order_id': 'o1', 'amount': 10.0}, "
            "got com.shipping.book {'order_id': 'o1'}"
        ),
        "events[1]: expected no event, got com.payment.charge {'order_id': 'o1', 'amount': 1.0}",
    ]


def test_what_is_remembered_is_compared_where_the_record_is_given() -> None:
    """A change may send the same events, and remember something else."""
    trace = run(shop, placing(), now=NOW)

    def forgets(turn: Turn[OrderState]) -> Commands:
        if isinstance(turn.event.data, CardCharged):
            return Persist(OrderState("o1")), Emit(BookShipment("o1"))
        return fulfil(turn)

    system = with_function(forgets, state=OrderState)
    replayed = replay(system, history_of(trace), record=trace.records[SUBJECT])

    assert all(turn.agrees for turn in replayed.turns)
    assert not replayed.agrees
    assert [issue.path for issue in replayed.remembered] == ["record.state.receipt"]
    assert str(replayed).splitlines()[3:] == [
        "in the end something else is remembered",
        "  record.state.receipt",
        "    then: 'r-o1'",
        "    now:  None",
    ]


@pytest.mark.parametrize("until", [2, NOW + timedelta(seconds=3)])
def test_a_replay_goes_up_to_any_point(until: Any) -> None:
    """How did it look, just before it went wrong?"""

    @flow(order, "1.0.0", services=SERVICES)
    def naps(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from sleep(timedelta(seconds=3))
        yield from sleep(timedelta(seconds=5))
        return OrderFulfilled("t")

    system = System([naps])
    trace = run(system, placing(), now=NOW)

    replayed = replay(system, history_of(trace), until=until)

    assert [turn.revision for turn in replayed.turns] == [1, 2]
    assert replayed.agrees
    assert replayed.record == trace.commits[1].record


def test_code_that_refuses_what_it_took_then_says_so() -> None:
    """The turns after it are taken on what was remembered before."""
    trace = run(shop, placing(), now=NOW)
    history = history_of(trace)

    def refuses(turn: Turn[Any]) -> Any:
        if isinstance(turn.event.data, CardCharged):
            return Violate(ExecutionViolation("no"))
        return fulfil(turn)

    replayed = replay(with_function(refuses, state=OrderState), history)

    assert str(replayed.turns[1]) == (
        "turn 2, on evt.payment.charged: differs\n  turn\n    then: taken\n    now:  refused: no"
    )
    assert replayed.turns[2].unknown is None


def fetch(key: str) -> int:
    raise AssertionError("a replay has no side effects")


def fails(key: str) -> int:
    raise ConnectionError(f"no {key}")


def caller(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """A flow that calls before and after it waits, and goes on when a call fails."""
    number = yield from call(fetch, "a")
    paid = yield from ask(ChargeCard("o1", float(number)), CardCharged)
    try:
        number = yield from call(fails, "b")
    except CallFailed as error:
        return OrderFulfilled(f"{paid.receipt}: {error}")
    return OrderFulfilled(str(number))


calling = System([flow(order, "1.0.0", services=SERVICES)(caller), payments])
TABLE: Any = {fetch: lambda key: 7, fails: fails}


def test_the_calls_of_a_flow_are_taken_from_what_its_record_remembers() -> None:
    """Nothing is called, and nothing is guessed."""
    trace = run(calling, placing(), now=NOW, effects=TABLE)
    record = trace.records[SUBJECT]

    replayed = replay(calling, history_of(trace), record=record)

    assert replayed.agrees
    assert replayed.record == record


def test_a_turn_whose_calls_nobody_knows_is_not_taken_nor_what_follows() -> None:
    """The table of effects may tell."""
    history = history_of(run(calling, placing(), now=NOW, effects=TABLE))

    unknown = replay(calling, history)

    assert [turn.unknown for turn in unknown.turns] == [
        "nobody knows what fetch('a') came to (say it by effects)",
        "the history does not tell what it was taken on",
    ]
    assert not unknown.agrees
    assert unknown.record is None
    assert replay(calling, history, effects=TABLE).agrees


def test_what_follows_a_call_that_nobody_knows_is_not_known_either() -> None:
    """The turns before it agree; what is remembered after it cannot be told."""
    history = history_of(run(calling, placing(), now=NOW, effects=TABLE))

    replayed = replay(calling, history, effects={fetch: TABLE[fetch]})

    assert [turn.unknown for turn in replayed.turns] == [
        None,
        "nobody knows what fails('b') came to (say it by effects)",
    ]
    assert replayed.record is None


def test_what_follows_lost_turns_is_not_known() -> None:
    """A hole in the middle is no place to go on from."""
    history = history_of(run(shop, placing(), now=NOW))

    replayed = replay(shop, (*history[:2], *history[4:]))

    assert [turn.unknown is None for turn in replayed.turns] == [True, False]
    assert replayed.record is None


def lived(*tables: Any, amended: Any) -> tuple[System, tuple[HistoryEntry, ...], Record]:
    """Let a flow call once in each of its turns, and be amended after all but the last of them.

    *tables*: what its calls come to in each turn.
    """

    @flow(order, "1.0.0", services=SERVICES)
    def calls(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        first = yield from call(fetch, "a")
        yield from ask(ChargeCard("o1", float(first)), CardCharged)
        second = yield from call(fetch, "a")
        return OrderFulfilled(str(second))

    system = System([calls])
    events, record, steps = [placing()], None, []
    for table in tables:
        commit = decide(system, events[-1], record, now=NOW, effects={fetch: table}).unwrap()
        steps.append(commit)
        record = given(commit.record)
        if record.status != "done":
            record = given(amended(system, record, [commit.event, *commit.events]))
            steps.append(record)
        if record.status == "active" and commit.outcome == "handled":
            (asked,) = commit.events
            events.append(answering(asked, CardCharged("r")))
    assert record is not None
    return system, written(*steps), record


def down(key: str) -> int:
    raise ConnectionError(key)


def revive(system: System, record: Record, turn: list[Event[Any]]) -> Any:
    if record.status == "failed":
        return revived(system, record, turn)
    return mend(system, record, turn)


def mend(system: System, record: Record, turn: list[Event[Any]]) -> Any:
    return attrs.evolve(record, revision=record.revision + 1)


@pytest.mark.parametrize(
    ("tables", "known"),
    [
        # Mended by hand after a turn that had not failed.
        ((lambda _: 1, lambda _: 2), [True, True]),
        # The first turn fails, and is taken once more.
        ((down, lambda _: 1, lambda _: 2), [False, True, True]),
        # So does the second, after the first was revived.
        ((down, lambda _: 1, down, lambda _: 2), [False, True, False, True]),
        ((lambda _: 1, down, lambda _: 2), [True, False, True]),
    ],
)
def test_the_calls_of_a_turn_that_failed_are_not_those_of_the_turn_that_took_its_place(
    tables: Any, known: list[bool]
) -> None:
    """The journal keeps nothing of it; the record that revived it tells that it failed."""
    system, history, record = lived(*tables, amended=revive)

    replayed = replay(system, history, record=record)

    assert [turn.unknown is None for turn in replayed.turns] == known
    assert not any(turn.differences for turn in replayed.turns)
    assert replayed.record == record


def test_a_flow_that_calls_something_else_now_shows_both_calls() -> None:
    """What the other call would have come to, nobody knows."""
    trace = run(calling, placing(), now=NOW, effects=TABLE)

    def changed(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from call(fetch, "other")
        return OrderFulfilled("t")

    system = System([flow(order, "1.0.0", services=SERVICES)(changed), payments])
    replayed = replay(system, history_of(trace), record=trace.records[SUBJECT])

    divergence = replayed.divergence
    assert divergence is not None
    assert divergence.unknown == ("it does not call fetch('a') any more, and nobody knows the rest")
    assert str(divergence).splitlines()[1:] == [
        "  effects[0]",
        "    then: call fetch('a')",
        "    now:  call fetch('other')",
    ]


def test_a_flow_that_began_anew_has_forgotten_its_first_calls() -> None:
    """Only those of its last beginning are in the record."""

    def twice(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from call(fetch, "a")
        yield from ask(ChargeCard("o1", 1.0), CardCharged)
        if event.data.order_id == "o1":
            yield from continue_as_new(PlaceOrder("o2"))
        return OrderFulfilled("t")

    system = System([flow(order, "1.0.0", services=SERVICES)(twice), payments])
    trace = run(system, placing(), now=NOW, effects=TABLE)
    history, record = history_of(trace), trace.records[SUBJECT]

    assert replay(system, history, record=record).turns[0].unknown is not None
    assert replay(system, history, record=record, effects=TABLE).agrees


def look(key: str) -> int:
    raise AssertionError("a replay has no side effects")


def test_the_calls_since_a_flow_began_anew_are_in_its_record() -> None:
    """Nobody else need tell them."""

    def twice(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        if event.data.order_id == "o1":
            yield from call(fetch, "a")
            yield from ask(ChargeCard("o1", 1.0), CardCharged)
            yield from continue_as_new(PlaceOrder("o2"))
        yield from ask(ChargeCard("o2", 1.0), CardCharged)
        number = yield from call(look, "b")
        return OrderFulfilled(str(number))

    system = System([flow(order, "1.0.0", services=SERVICES)(twice), payments])
    trace = run(system, placing(), now=NOW, effects={**TABLE, look: lambda _: 8})
    history, record = history_of(trace), trace.records[SUBJECT]

    replayed = replay(system, history, record=record, effects=TABLE)

    assert replayed.agrees
    assert len(replayed.turns) == 3


def test_the_effects_of_a_resumable_come_from_the_table_alone() -> None:
    """Its results may be any object: no store holds them."""

    def looks(turn: Turn[Any]) -> Effects[Complete]:
        number = yield from call(fetch, "a")
        return Complete(OrderFulfilled(str(number)))

    system = with_function(looks)
    trace = run(system, placing(), now=NOW, effects=TABLE)

    [unknown] = replay(system, history_of(trace), record=trace.records[SUBJECT]).turns
    assert unknown.unknown is not None
    assert replay(system, history_of(trace), effects=TABLE).agrees


def test_a_history_that_has_lost_its_beginning_is_not_replayed() -> None:
    """Nobody knows what the first turn that is left was taken on."""
    history = history_of(run(shop, placing(), now=NOW))

    replayed = replay(shop, history[2:])
    cut = replay(shop, history[3:])

    assert [turn.unknown is None for turn in replayed.turns] == [False, False]
    assert [turn.unknown is None for turn in cut.turns] == [False]


def test_a_record_that_stands_in_the_history_is_gone_on_from() -> None:
    """`migrate` and `revive` write one: what was decided by hand is not decided again."""
    trace = run(shop, placing(), now=NOW)
    history = history_of(trace)
    before, after = history[2:4], history[4:]
    moved = attrs.evolve(given(trace.commits[0].record), revision=2)
    (amended,) = written(moved)
    later = [attrs.evolve(line, revision=line.revision + 1) for line in (*before, *after)]

    replayed = replay(shop, [amended, *later])

    assert [turn.revision for turn in replayed.turns] == [3, 4]
    assert replayed.agrees


def given(value: T | None) -> T:
    assert value is not None
    return value


def test_an_empty_history_comes_to_nothing() -> None:
    """A workflow of which nothing is remembered."""
    assert replay(shop, ()).agrees
    assert replay(shop, ()).record is None
