"""Machine: a statechart over contracts, and what it refuses to be."""

from typing import Any, Literal

import pytest
from attrs import frozen

from arvo import (
    Cancellation,
    ConfigViolation,
    Contract,
    Machine,
    Orchestrator,
    OrchestratorContract,
    System,
    SystemFault,
    TimerFired,
    Version,
    Violated,
    Workflow,
    run,
)
from arvo.statechart import Chart, State, act, assign, cancel, emit, raise_
from tests.fulfilment import OrderContext, leading, machine, state_of
from tests.shop import (
    SERVICES,
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    ShipmentBooked,
    answering,
    charge,
    committed,
    order,
    placing,
)


def making(**shape: Any) -> Machine[Any]:
    """Make a machine of the order contract."""
    return Machine(**{"contract": order["1.0.0"], "services": SERVICES, **shape})


def refusal(**shape: Any) -> str:
    """Say why a machine cannot be."""
    with pytest.raises(Violated) as caught:
        making(**shape)
    assert isinstance(caught.value.violation, ConfigViolation)
    return str(caught.value)


def test_a_payload_class_stands_for_the_event_that_carries_it() -> None:
    """One writes what happens, not how it is spelled on the wire."""
    events = set(machine.chart.events)

    assert {"evt.payment.charged", "evt.payment.declined", "evt.shipping.booked"} <= events


def test_system_fault_stands_for_the_error_of_every_service() -> None:
    """A state may treat all failures alike, and one of them apart."""
    both = making(
        initial="a",
        states={
            "a": State(on={SystemFault: "b", "sys.com.shipping.book.error": "c"}),
            "b": State(type="final"),
            "c": State(type="final"),
        },
    )

    (on,) = [each.on for each in both.chart.compiled.behaviours if each.on]
    nodes = both.chart.compiled.tree.nodes
    targets = {name: nodes[edge.targets[0]].key for name, (edge,) in on.items() if edge.targets}
    assert targets == {"sys.com.payment.charge.error": "b", "sys.com.shipping.book.error": "c"}


def test_what_the_system_itself_sends_may_be_a_key() -> None:
    """Cancellations and timers of one's own are events like others."""
    made = making(
        initial="a",
        states={"a": State(on={Cancellation: "b", TimerFired: "b"}), "b": State(type="final")},
    )

    own = {"sys.arvo.orc.order.fulfil.cancel", "sys.arvo.orc.order.fulfil.due"}
    assert own <= set(made.chart.events)


def test_a_class_that_two_services_send_is_refused_and_both_are_named() -> None:
    """Which of them was meant only the author knows."""
    other = Contract(
        uri="#/contracts/wallet",
        type="com.payment.wallet",
        versions={"1.0.0": Version(accepts=PlaceOrder, emits={"evt.wallet.charged": CardCharged})},
    )

    said = refusal(
        services=[charge["1.0.0"], other["1.0.0"]],
        initial="a",
        states={"a": State(on={CardCharged: "b"}), "b": State(type="final")},
    )

    assert "evt.payment.charged of #/contracts/payment/charge/1.0.0" in said
    assert "evt.wallet.charged of #/contracts/wallet/1.0.0" in said
    assert "a.on" in said


def test_a_class_that_no_event_carries_is_refused() -> None:
    """A state that waits for what never comes waits for ever."""
    said = refusal(initial="a", states={"a": State(on={OrderFulfilled: "a"})})

    assert "a.on: expected a class that some event carries" in said
    assert "CardCharged" in said
    assert "got OrderFulfilled" in said


def test_an_event_with_two_keys_is_refused() -> None:
    """One of them would never be asked."""
    on = {CardCharged: "a", "evt.payment.charged": "b"}

    assert "two for evt.payment.charged" in refusal(
        initial="a", states={"a": State(on=on), "b": State()}
    )


@frozen
class Coin:
    type: Literal["coin"] = "coin"


def test_a_payload_with_a_type_of_its_own_may_be_a_key() -> None:
    """A tag of a union is no event type."""
    slot = Contract(
        uri="#/slot",
        type="com.hall.slot",
        versions={"1.0.0": Version(accepts=PlaceOrder, emits={"evt.slot.coin": Coin})},
    )

    made = making(
        services=[slot["1.0.0"]],
        initial="a",
        states={"a": State(on={Coin: "b"}), "b": State(type="final")},
    )

    assert made.chart.events == ("evt.slot.coin",)


def test_everything_that_a_chart_cannot_be_is_said_at_its_state() -> None:
    """All at once, with the path to each."""
    said = refusal(
        initial="a", states={"a": State(on={CardCharged: "nowhere"}), "b": State(initial="x")}
    )

    assert "order-fulfil.a: " in said
    assert "'nowhere' does not exist" in said
    assert "order-fulfil.b: " in said


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"contract": order}, 'such as order["1.0.0"]'),
        ({"services": [charge]}, 'such as charge["1.0.0"]'),
        ({"services": [order["1.0.0"]]}, "another contract than the workflow's own"),
        ({"colour": "red", "states": {"a": State()}, "initial": "a"}, "colour"),
        ({"initial": "a", "states": {"a": State(entry=act("ring"))}}, "act('ring')"),
        ({"initial": "a", "states": {"a": State(on={5: "a"})}}, "5"),
    ],
)
def test_what_no_machine_can_be_is_refused(shape: Any, said: str) -> None:
    """Before anything runs."""
    assert said in refusal(**shape)


# Contexts


@frozen
class Wide:
    order_id: str
    lines: int


def test_a_context_takes_the_fields_that_begin_the_workflow() -> None:
    """What has the same name is the same thing."""
    commit = committed(
        leading(context=OrderContext, initial="a", states={"a": State()}), placing(amount=7.5)
    )

    assert commit.record is not None
    assert isinstance(commit.record.state, dict)
    assert commit.record.state["context"] == {"order_id": "o1", "amount": 7.5, "tracking": None}


def test_a_context_that_the_first_event_cannot_fill_is_refused() -> None:
    """Named by field, when the machine is made and not when an order comes."""
    said = refusal(context=Wide, initial="a", states={"a": State()})

    assert "context.lines: expected a field that PlaceOrder surely has" in said
    assert "context.order_id" not in said


def test_a_context_may_be_made_by_a_function_of_the_first_event() -> None:
    """Reference F142: the machine's input is that event."""

    def begin(event: Any) -> Wide:
        return Wide(event.data.order_id, len(event.source))

    commit = committed(leading(context=begin, initial="a", states={"a": State()}), placing())

    assert commit.record is not None
    assert isinstance(commit.record.state, dict)
    assert commit.record.state["context"] == {"order_id": "o1", "lines": len("com.shop.web")}


def test_a_context_of_a_schema_is_filled_by_its_keys() -> None:
    """Contracts from elsewhere have no classes."""
    schema = {
        "type": "object",
        "properties": {"order_id": {"type": "string"}, "amount": {"type": "number"}},
        "required": ["order_id"],
    }
    foreign = OrchestratorContract(
        uri="#/orchestrators/order",
        name="order.fulfil",
        versions={"1.0.0": Workflow(init=schema, complete=schema)},
    )
    shape: Any = {"contract": foreign["1.0.0"], "initial": "a", "states": {"a": State()}}

    @frozen
    class Late:
        order_id: str
        amount: float = 3.0

    commit = committed(
        leading(context=Late, **shape),
        foreign["1.0.0"].init({"order_id": "o2"}, source="com.shop.web"),
    )

    assert commit.record is not None
    assert isinstance(commit.record.state, dict)
    assert commit.record.state["context"] == {"order_id": "o2", "amount": 3.0}
    assert "context.amount" in refusal(context=OrderContext, **shape)


def test_a_context_that_is_a_mapping_cannot_be_changed_in_place() -> None:
    """B14: one workflow's change would be in all that begin after it."""

    def spoil(context: Any, event: Any) -> None:
        context["n"] = 1

    system = leading(context={"n": 0}, initial="a", states={"a": State(entry=spoil)})

    commit = committed(system, placing())

    assert commit.outcome == "failed"
    assert commit.record is not None
    assert commit.record.failure is not None
    assert commit.record.failure.name == "TypeError"


# XState


CONFIG = {
    "id": "order",
    "version": "1.0.0",
    "initial": "charging",
    "context": lambda event: {"order": event.data.order_id, "tries": 0},
    "states": {
        "charging": {
            "entry": [
                {"type": "enqueueArvoEvent", "params": {"type": "com.shipping.book", "data": {
                    "order_id": "later"}}},
                {"type": "emit", "event": lambda c, e: {
                    "type": "com.payment.charge", "data": {"order_id": c["order"], "amount": 1}}},
            ],
            "on": {
                "evt.payment.charged": "done",
                "evt.payment.declined": {"target": "charging", "guard": "again",
                                         "actions": "count", "reenter": True},
            },
        },
        "done": {"type": "final"},
    },
}  # fmt: skip
GUARDS = {"again": lambda c, e: e.data.reason == "limit" and c["tries"] < 1}
ACTIONS = {"count": assign(lambda c, e: {**c, "tries": c["tries"] + 1})}


def test_a_machine_may_be_an_xstate_config() -> None:
    """Guards and actions see the event, its `type` and its `data`."""
    read: Machine[Any] = Machine.from_xstate(
        CONFIG, contract=order["1.0.0"], services=SERVICES, guards=GUARDS, actions=ACTIONS
    )
    system = System([Orchestrator([read])])
    begun = committed(system, placing())
    again = committed(system, answering(begun.events[0], CardDeclined("limit")), begun.record)
    over = committed(
        system, answering(again.events[0], CardDeclined("limit"), key="a2"), again.record
    )

    # Those that were enqueued come behind the emitted (reference F147).
    assert [event.type for event in begun.events] == ["com.payment.charge", "com.shipping.book"]
    assert [event.type for event in again.events] == ["com.payment.charge", "com.shipping.book"]
    assert (over.events, state_of(over.record)) == ((), "charging")


@pytest.mark.parametrize(
    ("config", "more", "said"),
    [
        ({"version": "2.0.0"}, {}, "version: expected 1.0.0, got '2.0.0'"),
        ({}, {"actions": {"enqueueArvoEvent": emit("x")}}, "actions.enqueueArvoEvent"),
        ({"entry": "ring"}, {}, "the action 'ring' is not implemented"),
        ({"entry": {"type": "emit"}}, {}, "what a statechart is made of"),
        ({"states": [1]}, {}, "what a statechart is made of"),
        (
            {"states": {"a": {"invoke": {"src": "x"}}}},
            {},
            "m.a: expected what a statechart can be, got the key 'invoke' is not supported",
        ),
    ],
)
def test_a_config_that_does_not_fit_is_refused(config: Any, more: Any, said: str) -> None:
    """References F135-F139."""
    whole = {"id": "m", "initial": "a", "states": {"a": {}}, **config}

    with pytest.raises(Violated) as caught:
        Machine.from_xstate(whole, contract=order["1.0.0"], services=SERVICES, **more)

    assert said in str(caught.value)


@pytest.mark.parametrize("place", ["root", "state"])
def test_a_delay_may_stand_anywhere_and_a_state_may_be_called_after(place: str) -> None:
    """B18: the reference sees neither rightly."""
    after = {"1000": ".end"} if place == "root" else {}
    inner = {} if place == "root" else {"after": {"1000": "end"}}
    read: Machine[Any] = Machine.from_xstate(
        {
            "id": "m",
            "initial": "after",
            "after": after,
            "output": {"tracking": "late"},
            "states": {"after": inner, "end": {"type": "final"}},
        },
        contract=order["1.0.0"],
    )

    trace = run(System([Orchestrator([read])]), placing())

    assert trace.answer is not None
    assert trace.answer.data == OrderFulfilled("late")


# Doubts


def test_a_machine_that_is_wired_well_has_no_problems() -> None:
    """So that a test can say so."""
    assert machine.problems() == ()


def problems(**shape: Any) -> list[str]:
    return [str(issue) for issue in making(**shape).problems()]


def test_an_answer_that_no_state_hears_is_a_problem() -> None:
    """The workflow would wait for something that has come already."""
    found = problems(
        services=[charge["1.0.0"]],
        initial="a",
        output={"tracking": "t"},
        states={
            "a": State(entry=emit(ChargeCard("o", 1)), on={CardCharged: "b"}),
            "b": State(type="final"),
        },
    )

    assert found == [
        (
            "order-fulfil: expected a state that hears evt.payment.declined (an answer of "
            "#/contracts/payment/charge/1.0.0), got none"
        ),
        (
            "order-fulfil: expected a state that hears sys.com.payment.charge.error (a failure of "
            "#/contracts/payment/charge/1.0.0), got none"
        ),
    ]


def test_an_event_that_never_comes_is_a_problem() -> None:
    """A slip of the pen in an event type."""
    found = problems(
        services=[],
        initial="a",
        output={"tracking": "t"},
        states={"a": State(on={"evt.payment.chargd": "b"}), "b": State(type="final")},
    )

    assert found == [
        (
            "order-fulfil.a on evt.payment.chargd: expected an event that comes, or is raised, "
            "got evt.payment.chargd"
        )
    ]


def test_an_end_that_nobody_hears_of_is_a_problem() -> None:
    """Whoever began the workflow waits for its completion."""
    found = problems(
        services=[charge["1.0.0"]],
        initial="a",
        states={
            "a": State(on={CardCharged: "b", CardDeclined: "c", SystemFault: "c"}),
            "b": State(type="final", output=OrderFulfilled("t")),
            "c": State(type="final"),
        },
    )

    (said,) = found
    assert said.startswith("order-fulfil.c: expected an output")


def test_what_lint_finds_in_the_chart_is_a_problem() -> None:
    """States that nothing enters, and the like."""
    found = problems(services=[], initial="a", states={"a": State(), "b": State(on={"*": "a"})})

    assert [said.partition(":")[0] for said in found] == ["order-fulfil.b", "order-fulfil.a"]


def test_one_timer_id_in_two_places_at_once_is_a_problem() -> None:
    """Cancelling one would cancel the other."""
    remind = raise_("remind", delay=1000, id="remind")
    both = problems(
        services=[],
        type="parallel",
        states={
            "a": State(initial="x", states={"x": State(entry=remind, on={"remind": "y"}),
                                            "y": State(type="final")}),
            "b": State(initial="x", states={"x": State(entry=remind, on={"remind": "y"}),
                                            "y": State(type="final")}),
        },
        output={"tracking": "t"},
    )  # fmt: skip

    assert both == [
        (
            "order-fulfil.b.x entry: expected a timer id of its own, or cancel('remind') before "
            "it is set again, got 'remind', which order-fulfil.a.x entry sets"
        )
    ]


def test_one_timer_id_in_states_that_clear_it_is_no_problem() -> None:
    """They are never pending together."""
    remind = raise_("remind", delay=1000, id="remind")

    found = problems(
        services=[],
        initial="a",
        output={"tracking": "t"},
        states={
            "a": State(entry=remind, exit=cancel("remind"), on={"remind": "b"}),
            "b": State(entry=[cancel("remind"), remind], on={"remind": "c"}),
            "c": State(type="final"),
        },
    )

    assert found == []


def test_a_machine_shows_its_chart() -> None:
    """It can be drawn, linted and walked as any other."""
    assert isinstance(machine.chart, Chart)
    assert (machine.version, machine.source) == ("1.0.0", "arvo.orc.order.fulfil")
    assert ShipmentBooked.__name__ not in machine.chart.events
