"""Replay: run the turns of a workflow again from its history, without side effects."""

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
from arvo.engine.history.revive import revived_record
from tests.histories import histories_of, write_history
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
    fulfil,
    make_workflow,
    order,
    order_request,
    payments,
    reply_to,
    shipping,
    shop,
)

T = TypeVar("T")

SUBJECT = order_request().subject


def history_of(trace: Trace) -> tuple[HistoryEntry, ...]:
    return histories_of(trace)[SUBJECT]


def with_function(function: Callable[[Turn[Any]], Any], state: Any = None) -> System:
    """Return the shop with another workflow."""
    return System([payments, shipping, make_workflow(function, state=state)])


def free_of_charge(turn: Turn[Any]) -> Commands:
    """Charge nothing: a change to the workflow of the shop."""
    if isinstance(turn.event.data, PlaceOrder):
        return Persist(None), Emit(ChargeCard(turn.event.data.order_id, 0.0))
    return fulfil(turn)


@pytest.mark.promise("I3")
def test_a_history_replayed_by_the_same_system_agrees() -> None:
    """I3: the events are the same, with ids and times, and so is the final record."""
    trace = run(shop, order_request(), now=NOW)

    replayed = replay(shop, history_of(trace), record=trace.records[SUBJECT])

    assert replayed.agrees
    assert replayed.record == trace.records[SUBJECT]
    assert replayed.divergence is None
    assert str(replayed).splitlines() == [
        "turn 1, on arvo.orc.order.fulfil: agrees, sends com.payment.charge",
        "turn 2, on evt.payment.charged: agrees, sends com.shipping.book",
        "turn 3, on evt.shipping.booked: agrees, sends arvo.orc.order.fulfil.done",
    ]


def test_a_replay_of_changed_code_shows_both_sides_of_the_first_difference() -> None:
    """An author tests a change on the orders of last week."""
    history = history_of(run(shop, order_request(), now=NOW))

    replayed = replay(with_function(free_of_charge), history)

    assert not replayed.agrees
    assert replayed.divergence is replayed.turns[0]
    assert str(replayed.divergence).splitlines() == [
        "turn 1, on arvo.orc.order.fulfil: differs",
        "  events[0].data.amount",
        "    then: 10.0",
        "    now:  0.0",
    ]


def test_the_text_of_a_replay_details_only_the_first_divergence() -> None:
    """Later differences may follow from the first, so the text only mentions them."""
    history = history_of(run(shop, order_request(), now=NOW))

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
    assert [require(turn.commit).events[0].data for turn in replayed.turns] == [
        ChargeCard("o1", 0.0),
        BookShipment("o1"),
        OrderFulfilled("another"),
    ]


def test_a_turn_that_changes_nothing_now_is_a_difference() -> None:
    """The changed code ends a turn earlier, so the next event comes too late."""
    history = history_of(run(shop, order_request(), now=NOW))

    def hasty(turn: Turn[Any]) -> Commands:
        if isinstance(turn.event.data, CardCharged):
            return Complete(OrderFulfilled("t"))
        return fulfil(turn)

    last = replay(with_function(hasty, state=OrderState), history).turns[-1]

    assert str(last).splitlines() == [
        "turn 3, on evt.shipping.booked: differs",
        "  turn",
        "    then: a change",
        "    now:  no change: the workflow is done",
    ]
    assert require(last.commit).outcome == "late"


def test_another_event_type_shows_both_events() -> None:
    """The attributes of two unrelated events are not compared."""
    history = history_of(run(shop, order_request(), now=NOW))

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


def test_the_final_record_is_compared_with_the_stored_record() -> None:
    """Changed code may send the same events and persist another state."""
    trace = run(shop, order_request(), now=NOW)

    def forgets(turn: Turn[OrderState]) -> Commands:
        if isinstance(turn.event.data, CardCharged):
            return Persist(OrderState("o1")), Emit(BookShipment("o1"))
        return fulfil(turn)

    system = with_function(forgets, state=OrderState)
    replayed = replay(system, history_of(trace), record=trace.records[SUBJECT])

    assert all(turn.agrees for turn in replayed.turns)
    assert not replayed.agrees
    assert [issue.path for issue in replayed.record_differences] == ["record.state.receipt"]
    assert str(replayed).splitlines()[3:] == [
        "the final record differs",
        "  record.state.receipt",
        "    then: 'r-o1'",
        "    now:  None",
    ]


@pytest.mark.parametrize("until", [2, NOW + timedelta(seconds=3)])
def test_a_replay_may_stop_at_any_revision_or_time(until: Any) -> None:
    """An operator looks at the state just before a failure."""

    @flow(order, "1.0.0", services=SERVICES)
    def sleeps(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from sleep(timedelta(seconds=3))
        yield from sleep(timedelta(seconds=5))
        return OrderFulfilled("t")

    system = System([sleeps])
    trace = run(system, order_request(), now=NOW)

    replayed = replay(system, history_of(trace), until=until)

    assert [turn.revision for turn in replayed.turns] == [1, 2]
    assert replayed.agrees
    assert replayed.record == trace.commits[1].record


def test_a_turn_that_is_refused_now_is_a_difference() -> None:
    """The turns after it run on the record from before it."""
    trace = run(shop, order_request(), now=NOW)
    history = history_of(trace)

    def refuses(turn: Turn[Any]) -> Any:
        if isinstance(turn.event.data, CardCharged):
            return Violate(ExecutionViolation("no"))
        return fulfil(turn)

    replayed = replay(with_function(refuses, state=OrderState), history)

    assert str(replayed.turns[1]).splitlines() == [
        "turn 2, on evt.payment.charged: differs",
        "  turn",
        "    then: a change",
        "    now:  a violation: no",
    ]
    assert replayed.turns[2].not_replayable is None


def fetch(key: str) -> int:
    raise AssertionError("a replay has no side effects")


def fails(key: str) -> int:
    raise ConnectionError(f"no {key}")


def caller(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """Call a function before and after a request, and survive a failed call."""
    number = yield from call(fetch, "a")
    paid = yield from ask(ChargeCard("o1", float(number)), CardCharged)
    try:
        number = yield from call(fails, "b")
    except CallFailed as error:
        return OrderFulfilled(f"{paid.receipt}: {error}")
    return OrderFulfilled(str(number))


calling = System([flow(order, "1.0.0", services=SERVICES)(caller), payments])
TABLE: Any = {fetch: lambda key: 7, fails: fails}


def test_the_results_of_a_flows_calls_come_from_its_record() -> None:
    """No function is called, and no result is guessed."""
    trace = run(calling, order_request(), now=NOW, effects=TABLE)
    record = trace.records[SUBJECT]

    replayed = replay(calling, history_of(trace), record=record)

    assert replayed.agrees
    assert replayed.record == record


def test_a_turn_with_an_unknown_call_and_its_successors_are_not_replayable() -> None:
    """The *effects* argument may provide the result."""
    history = history_of(run(calling, order_request(), now=NOW, effects=TABLE))

    unknown = replay(calling, history)

    assert [turn.not_replayable for turn in unknown.turns] == [
        "the result of fetch('a') is not recorded (pass a function for it in effects=)",
        "the history does not hold the record before it",
    ]
    assert not unknown.agrees
    assert unknown.record is None
    assert replay(calling, history, effects=TABLE).agrees


def test_the_record_after_an_unknown_call_is_unknown() -> None:
    """The turns before it agree; a guessed record would be wrong."""
    history = history_of(run(calling, order_request(), now=NOW, effects=TABLE))

    replayed = replay(calling, history, effects={fetch: TABLE[fetch]})

    assert [turn.not_replayable for turn in replayed.turns] == [
        None,
        "the result of fails('b') is not recorded (pass a function for it in effects=)",
    ]
    assert replayed.record is None


def test_the_turns_after_a_gap_are_not_replayable() -> None:
    """The record before them is unknown."""
    history = history_of(run(shop, order_request(), now=NOW))

    replayed = replay(shop, (*history[:2], *history[4:]))

    assert [turn.not_replayable is None for turn in replayed.turns] == [True, False]
    assert replayed.record is None


def lived(*tables: Any, replaced: Any) -> tuple[System, tuple[HistoryEntry, ...], Record]:
    """Run a flow that calls once in each turn, and replace its record after all turns but the last.

    *tables*: the function that each turn calls.
    """

    @flow(order, "1.0.0", services=SERVICES)
    def calls(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        first = yield from call(fetch, "a")
        yield from ask(ChargeCard("o1", float(first)), CardCharged)
        second = yield from call(fetch, "a")
        return OrderFulfilled(str(second))

    system = System([calls])
    events, record, steps = [order_request()], None, []
    for table in tables:
        commit = decide(system, events[-1], record, now=NOW, effects={fetch: table}).unwrap()
        steps.append(commit)
        record = require(commit.record)
        if record.status != "done":
            record = require(replaced(system, record, [commit.event, *commit.events]))
            steps.append(record)
        if record.status == "active" and commit.outcome == "handled":
            (request,) = commit.events
            events.append(reply_to(request, CardCharged("r")))
    assert record is not None
    return system, write_history(*steps), record


def down(key: str) -> int:
    raise ConnectionError(key)


def revive(system: System, record: Record, turn: list[Event[Any]]) -> Any:
    if record.status == "failed":
        return revived_record(system, record, turn)
    return touch(system, record, turn)


def touch(system: System, record: Record, turn: list[Event[Any]]) -> Any:
    return attrs.evolve(record, revision=record.revision + 1)


@pytest.mark.parametrize(
    ("tables", "known"),
    [
        # Changed by hand after a turn that had not failed.
        ((lambda _: 1, lambda _: 2), [True, True]),
        # The first turn fails and is taken again.
        ((down, lambda _: 1, lambda _: 2), [False, True, True]),
        # The second turn fails too, after the first was revived.
        ((down, lambda _: 1, down, lambda _: 2), [False, True, False, True]),
        ((lambda _: 1, down, lambda _: 2), [True, False, True]),
    ],
)
def test_a_failed_turn_does_not_use_the_calls_of_the_turn_after_its_revival(
    tables: Any, known: list[bool]
) -> None:
    """The journal has no entry of a failed turn; the record of the revival shows the failure."""
    system, history, record = lived(*tables, replaced=revive)

    replayed = replay(system, history, record=record)

    assert [turn.not_replayable is None for turn in replayed.turns] == known
    assert not any(turn.differences for turn in replayed.turns)
    assert replayed.record == record


def test_a_flow_that_calls_something_else_now_shows_both_calls() -> None:
    """The result of the other call is unknown."""
    trace = run(calling, order_request(), now=NOW, effects=TABLE)

    def changed(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from call(fetch, "other")
        return OrderFulfilled("t")

    system = System([flow(order, "1.0.0", services=SERVICES)(changed), payments])
    replayed = replay(system, history_of(trace), record=trace.records[SUBJECT])

    divergence = replayed.divergence
    assert divergence is not None
    assert divergence.not_replayable == (
        "the code no longer runs `call fetch('a')`, so the results after it are unknown"
    )
    assert str(divergence).splitlines()[1:] == [
        "  effects[0]",
        "    then: call fetch('a')",
        "    now:  call fetch('other')",
    ]


def test_a_flow_that_continued_as_new_has_lost_its_first_calls() -> None:
    """Its record holds only the calls since it continued as new."""

    def twice(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        yield from call(fetch, "a")
        yield from ask(ChargeCard("o1", 1.0), CardCharged)
        if event.data.order_id == "o1":
            yield from continue_as_new(PlaceOrder("o2"))
        return OrderFulfilled("t")

    system = System([flow(order, "1.0.0", services=SERVICES)(twice), payments])
    trace = run(system, order_request(), now=NOW, effects=TABLE)
    history, record = history_of(trace), trace.records[SUBJECT]

    assert replay(system, history, record=record).turns[0].not_replayable is not None
    assert replay(system, history, record=record, effects=TABLE).agrees


def look(key: str) -> int:
    raise AssertionError("a replay has no side effects")


def test_the_calls_since_a_flow_continued_as_new_are_in_its_record() -> None:
    """The replay needs no function for them."""

    def twice(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        if event.data.order_id == "o1":
            yield from call(fetch, "a")
            yield from ask(ChargeCard("o1", 1.0), CardCharged)
            yield from continue_as_new(PlaceOrder("o2"))
        yield from ask(ChargeCard("o2", 1.0), CardCharged)
        number = yield from call(look, "b")
        return OrderFulfilled(str(number))

    system = System([flow(order, "1.0.0", services=SERVICES)(twice), payments])
    trace = run(system, order_request(), now=NOW, effects={**TABLE, look: lambda _: 8})
    history, record = history_of(trace), trace.records[SUBJECT]

    replayed = replay(system, history, record=record, effects=TABLE)

    assert replayed.agrees
    assert len(replayed.turns) == 3


def test_the_effects_of_a_resumable_come_only_from_functions() -> None:
    """A result may be any object, so no store holds it."""

    def looks(turn: Turn[Any]) -> Effects[Complete]:
        number = yield from call(fetch, "a")
        return Complete(OrderFulfilled(str(number)))

    system = with_function(looks)
    trace = run(system, order_request(), now=NOW, effects=TABLE)

    [unknown] = replay(system, history_of(trace), record=trace.records[SUBJECT]).turns
    assert unknown.not_replayable is not None
    assert replay(system, history_of(trace), effects=TABLE).agrees


def test_a_history_without_its_first_turn_is_not_replayable() -> None:
    """The record before the first remaining turn is unknown."""
    history = history_of(run(shop, order_request(), now=NOW))

    replayed = replay(shop, history[2:])
    cut = replay(shop, history[3:])

    assert [turn.not_replayable is None for turn in replayed.turns] == [False, False]
    assert [turn.not_replayable is None for turn in cut.turns] == [False]


def test_a_replay_continues_from_a_record_in_the_history() -> None:
    """`migrate` and `revive` write one; a manual decision is not repeated."""
    trace = run(shop, order_request(), now=NOW)
    history = history_of(trace)
    before, after = history[2:4], history[4:]
    moved = attrs.evolve(require(trace.commits[0].record), revision=2)
    (replaced,) = write_history(moved)
    later = [attrs.evolve(entry, revision=entry.revision + 1) for entry in (*before, *after)]

    replayed = replay(shop, [replaced, *later])

    assert [turn.revision for turn in replayed.turns] == [3, 4]
    assert replayed.agrees


def require(value: T | None) -> T:
    assert value is not None
    return value


def test_an_empty_history_agrees_and_has_no_record() -> None:
    """The workflow is unknown to the store."""
    assert replay(shop, ()).agrees
    assert replay(shop, ()).record is None
