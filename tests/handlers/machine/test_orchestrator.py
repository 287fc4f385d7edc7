"""Orchestrator: a workflow that a statechart leads, turn by turn."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from attrs import frozen

from arvo import (
    Cancel,
    Cancellation,
    Compensate,
    Complete,
    ConfigViolation,
    Contract,
    Emit,
    Event,
    ExecutionViolation,
    Fail,
    Log,
    Machine,
    Orchestrator,
    OrchestratorContract,
    Persist,
    Record,
    Schedule,
    System,
    SystemFault,
    TimerFired,
    Version,
    Violate,
    Violated,
    Workflow,
    run,
)
from arvo.statechart import Event as ChartEvent
from arvo.statechart import State, Transition, act, assign, cancel, emit, raise_, send
from tests.fulfilment import (
    FIVE_MINUTES,
    OrderContext,
    alone,
    leading,
    led,
    machine,
    orders,
    state_of,
)
from tests.shop import (
    NOW,
    SERVICES,
    TIME,
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    answering,
    committed,
    order,
    payments,
    placing,
    refused,
)

END = State(type="final", output=OrderFulfilled("end"))
CHARGE = emit(ChargeCard("o1", 1.0))
BOOK = emit(BookShipment("o1"))


def test_a_workflow_goes_through_its_states() -> None:
    """The shop's order, from charge to shipment."""
    trace = run(led, placing())

    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("t-o1")
    assert [event.type for event in trace.events] == [
        "arvo.orc.order.fulfil",
        "com.payment.charge",
        "evt.payment.charged",
        "com.shipping.book",
        "evt.shipping.booked",
        "arvo.orc.order.fulfil.done",
    ]
    assert trace.now == NOW


def test_a_record_holds_where_the_machine_is_and_not_the_machine() -> None:
    """B38: definitions are code, and in every record of the reference."""
    record = committed(alone, placing()).record

    assert record is not None
    assert set(record.state) == {  # type: ignore[arg-type]
        "chart", "value", "leaves", "context", "history", "timers", "end",
    }  # fmt: skip
    assert Record.from_dict(orjson.loads(orjson.dumps(record.to_dict()))) == record


def test_an_event_that_no_state_hears_moves_nothing() -> None:
    """It is said, and counted as taken."""
    begun = committed(alone, placing())
    asked = begun.events[0]
    charged = committed(alone, answering(asked, CardCharged("r")), begun.record)
    late = answering(asked, CardDeclined("late"), key="a2")

    commit = committed(alone, late, charged.record)

    assert commit.events == ()
    assert commit.record is not None
    assert charged.record is not None
    assert commit.record.state == charged.record.state
    (log,) = commit.logs
    assert (log.level, log.attributes["state"]) == ("info", "shipping")


def test_query_says_where_a_workflow_is() -> None:
    """Without touching it."""
    record = committed(led, placing()).record
    assert record is not None

    found = orders.query(record)

    assert found.matches("charging")
    assert found.context == OrderContext("o1", 10.0)
    assert [timer.delay_ms for timer in found.timers] == [300_000]


# Failure


def test_emitting_a_fail_ends_the_workflow() -> None:
    """Tier 2: the caller hears, and the last good state stays readable (I9)."""
    begun = committed(alone, placing())

    commit = committed(alone, answering(begun.events[0], CardDeclined("limit")), begun.record)

    (told,) = commit.events
    assert (told.type, told.data.message) == (
        "sys.arvo.orc.order.fulfil.error",
        "the order is cancelled",
    )
    assert commit.record is not None
    assert commit.record.status == "failed"
    assert state_of(commit.record) == "charging"


def broken(context: object, event: object) -> Any:
    raise LookupError("no such card")


@pytest.mark.parametrize(
    "states",
    [
        {"a": State(entry=CHARGE, on={CardCharged: Transition("b", broken)}), "b": END},
        {"a": State(entry=CHARGE, on={CardCharged: "b"}), "b": State(entry=[BOOK, emit(broken)])},
        {"a": State(entry=CHARGE, on={CardCharged: "b"}), "b": State(type="final", output=broken)},
    ],
)
def test_a_machine_that_raises_fails_the_workflow(states: Any) -> None:
    """F148, F122, F098: nothing of the turn is carried out, and what was remembered stays."""
    system = leading(initial="a", states=states)
    begun = committed(system, placing())

    commit = committed(system, answering(begun.events[0], CardCharged("r")), begun.record)

    (told,) = commit.events
    assert told.data == SystemFault("LookupError", "no such card")
    assert commit.record is not None
    assert begun.record is not None
    assert (commit.record.status, commit.record.state) == ("failed", begun.record.state)
    assert [log.level for log in commit.logs] == ["error"]


def test_a_machine_that_raises_at_once_remembers_nothing() -> None:
    """It never was anywhere."""
    commit = committed(leading(initial="a", states={"a": State(entry=emit(broken))}), placing())

    assert commit.record is not None
    assert (commit.record.status, commit.record.state) == ("failed", None)


def test_a_machine_that_does_not_come_to_rest_fails() -> None:
    """A loop is told with its states."""
    system = leading(
        initial="a", states={"a": State(always="b"), "b": State(always="a")}, limit=100
    )

    commit = committed(system, placing())

    assert commit.events[0].data.name == "LoopFault"
    assert "order-fulfil.a always" in commit.events[0].data.message


def test_a_violation_that_is_raised_or_emitted_changes_nothing() -> None:
    """Tier 3, as in any handler."""
    violation = ExecutionViolation("not like this")

    def refuse(context: object, event: object) -> Any:
        raise Violated(violation)

    for entry in (emit(refuse), emit(Violate(violation))):
        system = leading(initial="a", states={"a": State(entry=[CHARGE, entry])})
        assert refused(system, placing()) == violation


# What may be emitted


def test_a_command_a_payload_and_a_mapping_may_be_emitted() -> None:
    """All that `Emit` can say, in the way that suits the author."""
    system = leading(
        initial="a",
        states={
            "a": State(
                entry=[
                    emit(lambda c, e: ChargeCard(e.input.data.order_id, 1.0)),
                    emit(Emit(ChargeCard("o2", 2.0), domain="ops", executionunits=3)),
                    emit(
                        {
                            "type": "com.shipping.book",
                            "data": {"order_id": "o3"},
                            "to": "com.other.carrier",
                            "id": {"deduplication": "DEVELOPER_MANAGED", "value": "mine"},
                            "__extensions": {"urgent": True},
                        }
                    ),
                    emit(Log("info", "began")),
                ]
            )
        },
    )

    commit = committed(system, placing())

    assert [(each.data, each.domain, each.to) for each in commit.events] == [
        (ChargeCard("o1", 1.0), None, "com.payment.charge"),
        (ChargeCard("o2", 2.0), "ops", "com.payment.charge"),
        (BookShipment("o3"), None, "com.other.carrier"),
    ]
    assert (commit.events[2].id, commit.events[2].extensions) == ("mine", {"urgent": True})
    assert commit.logs == (Log("info", "began"),)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (emit(Persist({})), "assign(...)"),
        (emit(Complete({})), "output=..."),
        (emit(ChargeCard), "a payload, or a command"),
        (emit("com.payment.charge"), "a payload, or a command"),
        (emit({"data": {}}), "with a type"),
        (emit({"type": "com.payment.charge", "colour": 1}), "colour"),
        (emit(OrderFulfilled("t")), "no event with such a payload"),
        (lambda c, e: act("ring"), "act('ring')"),
        (assign(lambda c, e: object()), "JSON data"),
        (assign(lambda c, e: {"n": float("nan")}), "finite"),
        (assign(lambda c, e: OrderContext("o", 1.0)), "say the class"),
        (raise_("x", delay=lambda c, e: "soon"), "milliseconds"),
    ],
)
def test_what_nobody_can_carry_out_is_a_violation(entry: Any, said: str) -> None:
    """The author must act; nothing changes."""
    violation = refused(leading(initial="a", states={"a": State(entry=entry)}), placing())

    assert said in str(violation)


def test_a_context_of_another_class_or_type_is_a_violation() -> None:
    """Found in the turn that makes it, not in the one that cannot read it."""
    for update, said in (
        (assign(lambda c, e: {}), "a OrderContext"),
        (assign(order_id=5), "state.context.order_id"),
    ):
        system = leading(context=OrderContext, initial="a", states={"a": State(entry=update)})
        assert said in str(refused(system, placing()))


# The end


@pytest.mark.parametrize(
    "output",
    [
        {"tracking": "t", "__id": "mine", "__executionunits": 7, "__domain": ["ops"]},
        Complete(OrderFulfilled("t"), id="mine", executionunits=7, domain="ops"),
    ],
)
def test_an_output_may_say_more_than_the_payload(output: Any) -> None:
    """Reference F155, and the same as a command."""
    system = leading(initial="a", output=output, states={"a": State(type="final")})

    commit = committed(system, placing())

    (done,) = commit.events
    assert (done.type, done.data) == ("arvo.orc.order.fulfil.done", OrderFulfilled("t"))
    assert (done.id, done.executionunits, done.domain) == ("mine", 7, "ops")
    assert commit.record is not None
    assert commit.record.status == "done"


def test_an_empty_output_completes_as_well() -> None:
    """B16: the reference forgets it."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    empty = OrchestratorContract(
        uri="#/empty", name="empty", versions={"1.0.0": Workflow(init=schema, complete=schema)}
    )
    system = leading(
        contract=empty["1.0.0"], initial="a", output={}, states={"a": State(type="final")}
    )

    commit = committed(system, empty["1.0.0"].init({}, source="com.shop.web"))

    assert [(each.type, each.data) for each in commit.events] == [("arvo.orc.empty.done", {})]


def test_an_end_without_output_completes_nothing() -> None:
    """As in the reference; `Machine.problems` says so beforehand."""
    commit = committed(leading(initial="a", states={"a": State(type="final")}), placing())

    assert commit.events == ()
    assert commit.record is not None
    assert commit.record.status == "done"


def test_each_final_state_may_have_an_output() -> None:
    """Where a workflow ends says what it came to."""
    commit = committed(leading(initial="a", states={"a": END}), placing())

    assert [each.data for each in commit.events] == [OrderFulfilled("end")]


def test_an_output_that_does_not_fit_is_a_violation() -> None:
    """F127: and the workflow stays where it was."""
    system = leading(initial="a", output={"nothing": 1}, states={"a": State(type="final")})

    assert refused(system, placing()).kind == "Contract"


# Time


def test_a_delay_is_a_durable_timer() -> None:
    """It comes back as an event of the workflow when its time has come (B19)."""
    trace = run(alone, placing())

    assert trace.answer is not None
    assert trace.answer.data.message == "the order is cancelled"
    assert trace.now - NOW == FIVE_MINUTES


def test_leaving_a_state_clears_its_timers() -> None:
    """The reply came first."""
    begun = committed(alone, placing())
    assert begun.record is not None
    (name,) = begun.record.timers

    charged = committed(alone, answering(begun.events[0], CardCharged("r")), begun.record)

    assert name == "xstate.after.300000.order-fulfil.charging"
    assert charged.cleared_timers == (begun.timers[0].event.id,)
    assert charged.record is not None
    assert charged.record.timers == {}


def count(context: Any, event: Any) -> Any:
    return {"n": context["n"] + 1, "last": getattr(event, "data", None)}


def counting(**shape: Any) -> System:
    """A machine that counts in its context, and ends where it is told to."""
    return leading(context={"n": 0}, output=lambda c, e: OrderFulfilled(str(c["n"])), **shape)


def test_several_timers_of_one_id_all_come() -> None:
    """A chart may have them; arvo's names are its own."""
    system = counting(
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

    begun = committed(system, placing())
    trace = run(system, placing())

    assert begun.record is not None
    assert list(begun.record.timers) == ["t", "t#2", "s"]
    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("2")


def test_cancelling_an_id_clears_all_timers_of_it() -> None:
    """As the chart means it."""
    system = counting(
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
    begun = committed(system, placing())

    charged = committed(system, answering(begun.events[0], CardCharged("r")), begun.record)

    assert charged.record is not None
    assert list(charged.record.timers) == ["stop"]
    assert len(charged.cleared_timers) == 2


def test_a_timer_that_sets_itself_anew_goes_on() -> None:
    """Its name is free again when it has fired."""
    again = raise_("tick", delay=1000, id="t")
    system = counting(
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

    trace = run(system, placing())

    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("3")
    assert trace.now - NOW == timedelta(seconds=4)
    names = {name for commit in trace.commits if commit.record for name in commit.record.timers}
    assert names == {"t"}


def test_a_delayed_send_comes_when_it_is_due() -> None:
    """It outlives the state that sent it, with its data."""
    system = counting(
        initial="a",
        states={
            "a": State(entry=send(ChartEvent("go", {"k": 1}), delay=60_000), always="b"),
            "b": State(on={"go": Transition("end", actions=assign(count))}),
            "end": State(type="final"),
        },
    )

    trace = run(system, placing())

    assert trace.now - NOW == timedelta(minutes=1)
    record = trace.records[trace.root.subject]
    assert record.state["context"] == {"n": 1, "last": {"k": 1}}  # type: ignore[index,call-overload]


def test_a_send_without_delay_is_taken_in_the_same_turn() -> None:
    """Behind what the chart raises itself."""
    system = counting(
        initial="a",
        states={
            "a": State(entry=[send("late"), raise_("soon")], on={"soon": "b", "late": "end"}),
            "b": State(on={"late": "end"}),
            "end": State(type="final"),
        },
    )

    commit = committed(system, placing())

    assert state_of(commit.record) == "end"


def test_sending_for_ever_fails() -> None:
    """A turn comes to an end."""
    system = leading(
        initial="a", states={"a": State(entry=send("x"), on={"x": Transition(actions=send("x"))})}
    )

    assert committed(system, placing()).events[0].data.name == "LoopFault"


def test_a_timer_of_ones_own_comes_as_due() -> None:
    """At a time of day, which no delay can say."""
    at = NOW + timedelta(hours=7)
    system = counting(
        initial="a",
        states={
            "a": State(
                entry=emit(Schedule("morning", at=at, payload={"k": 2})), on={TimerFired: "b"}
            ),
            "b": State(entry=assign(lambda c, e: {"n": e.data.payload["k"]}), always="end"),
            "end": State(type="final"),
        },
    )

    trace = run(system, placing())

    assert trace.now == at
    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("2")


@pytest.mark.parametrize("touch", [Cancel("t"), Schedule("t", after=1)])
def test_a_timer_of_the_chart_is_left_to_the_chart(touch: Any) -> None:
    """Or it would wait for what never comes."""
    entry = [raise_("tick", delay=1000, id="t"), emit(touch)]

    said = str(refused(leading(initial="a", states={"a": State(entry=entry)}), placing()))

    assert "a timer of another name" in said


def test_a_timer_of_ones_own_is_left_to_its_author() -> None:
    """The chart's timer of that id goes by another name, and both come."""
    trace = run(
        counting(
            initial="a",
            states={
                "a": State(entry=emit(Schedule("t", after=60)), after={1000: "b"}),
                "b": State(entry=raise_("tick", delay=1000, id="t"), on={"tick": "c"}),
                "c": State(entry=assign(n=1), on={TimerFired: "end"}),
                "end": State(type="final"),
            },
        ),
        placing(),
    )

    assert trace.now == NOW + timedelta(seconds=60)
    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("1")


def test_a_timer_of_ones_own_is_not_taken_for_one_of_the_chart() -> None:
    """Its payload would be read as an event of the chart."""
    entry = emit(Schedule("t", after=1, payload={"statechart": "raise"}))

    said = str(refused(leading(initial="a", states={"a": State(entry=entry)}), placing()))

    assert "a payload without 'statechart'" in said


def test_a_timer_with_a_long_id_has_a_short_name() -> None:
    """A name is a key; ids grow with the depth of states."""
    entry = [raise_("tick", delay=n, id="deep." * 80 + str(n)) for n in (1000, 2000)]

    commit = committed(leading(initial="a", states={"a": State(entry=entry)}), placing())

    assert commit.record is not None
    assert [len(name) <= 200 for name in commit.record.timers] == [True, True]


# Cancellation, undos, signals


def cancelling(begun: Any) -> Event[Cancellation]:
    return order["1.0.0"].cancel(
        "changed my mind", source="com.shop.web", id="c1", time=TIME, subject=begun.record.subject
    )


def test_a_cancellation_ends_the_workflow_wherever_it_is() -> None:
    """Without a word of the machine's."""
    begun = committed(alone, placing())

    commit = committed(alone, cancelling(begun), begun.record)

    assert commit.record is not None
    assert (commit.outcome, commit.record.status) == ("cancelled", "cancelled")
    assert [each.data.name for each in commit.events] == ["Cancelled"]
    assert state_of(commit.record) == "charging"
    assert commit.record.timers == {}


def test_a_machine_may_say_something_when_it_is_cancelled() -> None:
    """Its last turn: what it emits is sent, then its undos; it does not complete."""
    system = leading(
        initial="a",
        on={Cancellation: ".end"},
        states={
            "a": State(
                entry=[CHARGE, emit(Compensate(BookShipment("undo")))], on={CardCharged: "end"}
            ),
            "end": State(type="final", entry=BOOK, output=OrderFulfilled("end")),
        },
    )
    begun = committed(system, placing())

    commit = committed(system, cancelling(begun), begun.record)

    assert [each.data for each in commit.events[:2]] == [BookShipment("o1"), BookShipment("undo")]
    assert [each.data.name for each in commit.events[2:]] == ["Cancelled"]
    assert commit.record is not None
    assert commit.record.status == "cancelled"
    assert state_of(commit.record) == "end"


def test_an_undo_is_sent_when_the_workflow_fails() -> None:
    """Compensation, last first."""
    system = leading(
        initial="a",
        states={
            "a": State(
                entry=[
                    CHARGE,
                    emit(Compensate(BookShipment("1"))),
                    emit(Compensate(BookShipment("2"))),
                ],
                on={CardDeclined: Transition(actions=emit(Fail("no")))},
            )
        },
    )
    begun = committed(system, placing())

    commit = committed(system, answering(begun.events[0], CardDeclined("limit")), begun.record)

    assert [each.data for each in commit.events[:2]] == [BookShipment("2"), BookShipment("1")]
    assert commit.events[2].data.message == "no"


@frozen
class Approve:
    by: str


approve = Contract(
    uri="#/approve", type="com.shop.approve", versions={"1.0.0": Version(accepts=Approve)}
)


def test_a_signal_is_an_event_like_others() -> None:
    """From outside, by its payload's class."""
    system = leading(
        signals=[approve["1.0.0"]],
        initial="a",
        states={
            "a": State(on={Approve: Transition("end", lambda c, e: e.data.by == "ada")}),
            "end": END,
        },
    )
    begun = committed(system, placing())
    assert begun.record is not None
    signal = approve["1.0.0"].accepts(
        Approve("ada"),
        source="com.shop.desk",
        id="s1",
        time=TIME,
        subject=begun.record.subject,
        to="arvo.orc.order.fulfil",
    )

    commit = committed(system, signal, begun.record)

    assert [each.data for each in commit.events] == [OrderFulfilled("end")]


# Versions


two = OrchestratorContract(
    uri="#/orchestrators/two",
    name="order.two",
    versions={
        number: Workflow(init=PlaceOrder, complete=OrderFulfilled)
        for number in ("1.0.0", "2.0.0", "3.0.0")
    },
)


def asking(version: str, payload: Any) -> Machine[Any]:
    return Machine(
        contract=two[version],
        services=SERVICES,
        initial="a",
        states={
            "a": State(entry=emit(payload), on={CardCharged: "b", ShipmentBooked: "b"}),
            "b": END,
        },
    )


both = System(
    [
        Orchestrator([asking("1.0.0", ChargeCard("o1", 1.0)), asking("2.0.0", BookShipment("o1"))]),
        payments,
    ]
)


def test_versions_live_side_by_side() -> None:
    """F153: a workflow stays on the version that it began on."""
    for version, payload in (("1.0.0", ChargeCard("o1", 1.0)), ("2.0.0", BookShipment("o1"))):
        init = two[version].init(PlaceOrder("o1"), source="com.shop.web")
        assert [each.data for each in committed(both, init).events] == [payload]


def test_a_version_without_a_machine_is_a_violation() -> None:
    """F153: the operator has to bring it."""
    init = two["3.0.0"].init(PlaceOrder("o1"), source="com.shop.web")

    violation = refused(both, init)

    assert isinstance(violation, ConfigViolation)
    assert "expected 1.0.0, 2.0.0, got 3.0.0" in str(violation)


@pytest.mark.parametrize(
    ("machines", "said"),
    [
        ([], "at least one machine"),
        ([machine, machine], "machines[1]: expected a version of its own"),
        ([machine, asking("1.0.0", ChargeCard("o", 1.0))], "machines[1]: expected a version of #/"),
        ([machine, orders], "machines[1]: expected a Machine"),
    ],
)
def test_machines_that_do_not_belong_together_are_refused(machines: Any, said: str) -> None:
    """References F151, F152."""
    with pytest.raises(Violated) as caught:
        Orchestrator(machines)

    assert said in str(caught.value)


def test_a_machine_that_lost_a_state_cannot_take_up_a_workflow_in_it() -> None:
    """Named, with what to do; the event waits as a dead letter."""
    begun = committed(alone, placing())
    smaller = leading(
        context=OrderContext, initial="other", states={"other": State(on={CardCharged: "other"})}
    )

    violation = refused(smaller, answering(begun.events[0], CardCharged("r")), begun.record)

    assert isinstance(violation, ExecutionViolation)
    assert "order-fulfil.charging" in str(violation)
    assert "migrate" in str(violation)


def test_a_context_that_changed_its_shape_is_told_by_field() -> None:
    """A class that lost or gained a field."""

    @frozen
    class Narrow:
        order_id: int

    begun = committed(alone, placing())

    def begin(event: Any) -> Narrow:
        return Narrow(1)

    begin.__annotations__["return"] = Narrow
    other = leading(
        context=begin, initial="charging", states={"charging": State(on={CardCharged: "charging"})}
    )

    violation = refused(other, answering(begun.events[0], CardCharged("r")), begun.record)

    assert "state.context.order_id: expected" in str(violation)


def test_query_refuses_what_no_machine_leads() -> None:
    """A record of another workflow, or of one that never was anywhere."""
    never = committed(leading(initial="a", states={"a": State(entry=emit(broken))}), placing())
    stranger = committed(both, two["1.0.0"].init(PlaceOrder("o1"), source="com.shop.web"))
    assert never.record is not None
    assert stranger.record is not None

    for record, said in ((never.record, "nothing to go on from"), (stranger.record, "no machine")):
        with pytest.raises(Violated, match=said):
            orders.query(record)


def test_a_child_workflow_may_be_asked() -> None:
    """An orchestrator is a service to others (F128)."""
    parent = OrchestratorContract(
        uri="#/parent",
        name="parent.all",
        versions={"1.0.0": Workflow(init=BookShipment, complete=ShipmentBooked)},
    )
    above = Machine(
        contract=parent["1.0.0"],
        services=[order["1.0.0"]],
        initial="a",
        states={
            "a": State(
                entry=emit(lambda c, e: PlaceOrder(e.data.order_id)),
                on={OrderFulfilled: Transition("b", actions=assign(lambda c, e: e.data.tracking))},
            ),
            "b": State(type="final", output=lambda c, e: ShipmentBooked(c)),
        },
    )
    system = System([*led.handlers, Orchestrator([above])])

    trace = run(system, parent["1.0.0"].init(BookShipment("o7"), source="com.shop.web"))

    assert trace.answer is not None
    assert trace.answer.data == ShipmentBooked("t-o7")


def test_a_reply_that_comes_twice_moves_the_machine_once() -> None:
    """B05, B06: even where the inbox has forgotten the first."""
    begun = committed(alone, placing())
    reply = answering(begun.events[0], CardCharged("r"))
    charged = committed(alone, reply, begun.record)

    again = committed(alone, reply, charged.record)

    assert again.events == ()
    assert again.record is not None
    assert charged.record is not None
    assert again.record.state == charged.record.state
