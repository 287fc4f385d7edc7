"""Commands: the timers of a chart as durable timers of its workflow."""

from datetime import timedelta
from typing import Any

import pytest

from arvo import (
    Cancel,
    Schedule,
    System,
    TimerFired,
    run,
)
from arvo.statechart import Event as ChartEvent
from arvo.statechart import State, Transition, assign, cancel, emit, raise_, send
from tests.fulfilment import (
    FIVE_MINUTES,
    machine_system,
    orders_only,
)
from tests.handlers.machine.machines import CHARGE
from tests.shop import (
    NOW,
    CardCharged,
    OrderFulfilled,
    expect_commit,
    expect_violation,
    order_request,
    reply_to,
)


def test_a_delay_is_a_durable_timer() -> None:
    """B19 (no durable timers): it comes back as an event of the workflow when it is due."""
    trace = run(orders_only, order_request())

    assert trace.answer is not None
    assert trace.answer.data.message == "the order is cancelled"
    assert trace.now - NOW == FIVE_MINUTES


def test_leaving_a_state_clears_its_timers() -> None:
    """The reply came before the timeout."""
    first = expect_commit(orders_only, order_request())
    assert first.record is not None
    (name,) = first.record.timers

    charged = expect_commit(orders_only, reply_to(first.events[0], CardCharged("r")), first.record)

    assert name == "xstate.after.300000.order-fulfil.charging"
    assert charged.cleared_timers == (first.timers[0].event.id,)
    assert charged.record is not None
    assert charged.record.timers == {}


def count(context: Any, event: Any) -> Any:
    """Count an event, and keep its data."""
    return {"n": context["n"] + 1, "last": getattr(event, "data", None)}


def counter_system(**config: Any) -> System:
    """Make a system of a machine that counts in its context and completes with the count."""
    return machine_system(
        context={"n": 0}, output=lambda c, e: OrderFulfilled(str(c["n"])), **config
    )


def test_several_timers_with_one_id_all_fire() -> None:
    """A chart may have them; their workflow timers have different names."""
    system = counter_system(
        initial="a",
        states={
            "a": State(
                entry=[
                    raise_("tick", delay=1000, id="t"),
                    raise_("tick", delay=2000, id="t"),
                    raise_("stop", delay=3000, id="s"),
                ],
                on={"tick": Transition(actions=assign(count)), "stop": "end"},
            ),
            "end": State(type="final"),
        },
    )

    first = expect_commit(system, order_request())
    trace = run(system, order_request())

    assert first.record is not None
    assert list(first.record.timers) == ["t", "t#2", "s"]
    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("2")


def test_cancelling_an_id_clears_all_timers_with_it() -> None:
    """As in XState."""
    system = counter_system(
        initial="a",
        states={
            "a": State(
                entry=[
                    CHARGE,
                    raise_("tick", delay=1000, id="t"),
                    send("tick", delay=2000, id="t"),
                    raise_("stop", delay=3000),
                ],
                on={
                    "tick": Transition(actions=assign(count)),
                    CardCharged: Transition(actions=cancel("t")),
                    "stop": "end",
                },
            ),
            "end": State(type="final"),
        },
    )
    first = expect_commit(system, order_request())

    charged = expect_commit(system, reply_to(first.events[0], CardCharged("r")), first.record)

    assert charged.record is not None
    assert list(charged.record.timers) == ["stop"]
    assert len(charged.cleared_timers) == 2


def test_a_timer_that_starts_itself_again_fires_again() -> None:
    """Its name is free again when it has fired."""
    again = raise_("tick", delay=1000, id="t")
    system = counter_system(
        initial="a",
        states={
            "a": State(
                entry=again,
                on={
                    "tick": [
                        Transition("end", lambda c, e: c["n"] >= 3),
                        Transition(actions=[assign(count), again]),
                    ]
                },
            ),
            "end": State(type="final"),
        },
    )

    trace = run(system, order_request())

    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("3")
    assert trace.now - NOW == timedelta(seconds=4)
    names = {name for commit in trace.commits if commit.record for name in commit.record.timers}
    assert names == {"t"}


def test_a_delayed_send_arrives_when_it_is_due() -> None:
    """It outlives the state that sent it, and carries its data."""
    system = counter_system(
        initial="a",
        states={
            "a": State(entry=send(ChartEvent("go", {"k": 1}), delay=60_000), always="b"),
            "b": State(on={"go": Transition("end", actions=assign(count))}),
            "end": State(type="final"),
        },
    )

    trace = run(system, order_request())

    assert trace.now - NOW == timedelta(minutes=1)
    record = trace.records[trace.root.subject]
    assert record.state["context"] == {"n": 1, "last": {"k": 1}}  # type: ignore[index,call-overload]


def test_a_scheduled_timer_arrives_as_timer_fired() -> None:
    """A time of day cannot be written as a delay."""
    at = NOW + timedelta(hours=7)
    system = counter_system(
        initial="a",
        states={
            "a": State(
                entry=emit(Schedule("morning", at=at, payload={"k": 2})), on={TimerFired: "b"}
            ),
            "b": State(entry=assign(lambda c, e: {"n": e.data.payload["k"]}), always="end"),
            "end": State(type="final"),
        },
    )

    trace = run(system, order_request())

    assert trace.now == at
    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("2")


@pytest.mark.parametrize("command", [Cancel("t"), Schedule("t", after=1)])
def test_a_command_must_not_touch_a_timer_of_the_chart(command: Any) -> None:
    """The chart would wait for a timer that never fires."""
    entry = [raise_("tick", delay=1000, id="t"), emit(command)]

    message = str(
        expect_violation(
            machine_system(initial="a", states={"a": State(entry=entry)}), order_request()
        )
    )

    assert "a timer name that the chart does not use" in message


def test_a_chart_does_not_touch_a_scheduled_timer() -> None:
    """The timer of the chart with the same id gets another name, and both fire."""
    trace = run(
        counter_system(
            initial="a",
            states={
                "a": State(entry=emit(Schedule("t", after=60)), after={1000: "b"}),
                "b": State(entry=raise_("tick", delay=1000, id="t"), on={"tick": "c"}),
                "c": State(entry=assign(n=1), on={TimerFired: "end"}),
                "end": State(type="final"),
            },
        ),
        order_request(),
    )

    assert trace.now == NOW + timedelta(seconds=60)
    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("1")


def test_a_scheduled_timer_must_not_look_like_one_of_the_chart() -> None:
    """Its payload would be read as an event of the chart."""
    entry = emit(Schedule("t", after=1, payload={"statechart": "raise"}))

    message = str(
        expect_violation(
            machine_system(initial="a", states={"a": State(entry=entry)}), order_request()
        )
    )

    assert "a payload without the key 'statechart'" in message


def test_a_timer_with_a_long_id_has_a_short_name() -> None:
    """A name is a key, and ids grow with the depth of states."""
    entry = [raise_("tick", delay=n, id="deep." * 80 + str(n)) for n in (1000, 2000)]

    commit = expect_commit(
        machine_system(initial="a", states={"a": State(entry=entry)}), order_request()
    )

    assert commit.record is not None
    assert [len(name) <= 200 for name in commit.record.timers] == [True, True]
