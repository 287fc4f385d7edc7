"""Laws of the doors: nothing but what the table of doors allows changes a record."""

from datetime import timedelta
from typing import Any, Final

import pytest
from attrs import evolve
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure

from arvo import (
    Cancellation,
    Commands,
    Commit,
    Complete,
    Emit,
    Event,
    Flow,
    Machine,
    Orchestrator,
    Persist,
    Record,
    Resumable,
    Schedule,
    Subject,
    System,
    SystemFault,
    TimerFired,
    Turn,
    ask,
    flow,
    gather,
    sleep,
    step,
)
from arvo.core.events.protocol import cancel_type
from arvo.engine.step.admit import check_remote
from arvo.engine.step.doors import check_outside, find_id_conflict
from arvo.statechart import State, emit
from tests.handlers.test_signals import approve, signal
from tests.shop import (
    NOW,
    SERVICES,
    WEB,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge,
    expect_commit,
    order,
    order_request,
    payments,
    reply_to,
)

SIGNALS: Final = [approve["1.0.0"]]
PATIENCE: Final = timedelta(hours=1)


def _turn(turn: Turn[Any]) -> Commands:
    """Ask a service inside and one behind a domain, and end with the first reply."""
    match turn.event.data:
        case PlaceOrder():
            return (
                Persist("asked"),
                Emit(ChargeCard("in", 1)),
                Emit(ChargeCard("out", 2), domain="bank"),
                Schedule("patience", after=PATIENCE),
            )
        case CardCharged() | TimerFired():
            return Complete(OrderFulfilled("done"))
        case other:
            return Persist(repr(other))


@flow(order, "1.0.0", services=SERVICES, signals=SIGNALS)
def _flow(_: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    yield from gather(
        ask(ChargeCard("in", 1)), ask(ChargeCard("out", 2), domain="bank"), sleep(PATIENCE)
    )
    return OrderFulfilled("done")


MACHINE: Final = Machine(
    contract=order["1.0.0"],
    services=SERVICES,
    signals=SIGNALS,
    initial="asked",
    output=lambda _, __: OrderFulfilled("done"),
    states={
        "asked": State(
            entry=[
                emit(Emit(ChargeCard("in", 1))),
                emit(Emit(ChargeCard("out", 2), domain="bank")),
            ],
            on={CardCharged: "done", SystemFault: "done"},
            after={PATIENCE: "done"},
        ),
        "done": State(type="final"),
    },
)
KINDS: Final[dict[str, Any]] = {
    "resumable": Resumable(order, {"1.0.0": _turn}, services=SERVICES, signals=SIGNALS),
    "flow": _flow,
    "chart": Orchestrator([MACHINE]),
}
# Long after the timer is due: no time protects the workflow.
LATER: Final = NOW + timedelta(days=1)
FOREIGN: Final = str(Subject.new("arvo.orc.victim", "1.0.0", initiator=WEB, id="v"))


def _begin(kind: str) -> tuple[System, Commit, Record]:
    system = System([payments, KINDS[kind]])
    begun = expect_commit(system, order_request())
    assert begun.record is not None
    return system, begun, begun.record


@st.composite
def _forged(draw: st.DrawFn, begun: Commit) -> Event[Any]:
    """Draw an event that some sender may make who knows everything about the workflow."""
    inner, outer = (event for event in begun.events if event.type == charge.type)
    (due,) = begun.timers
    fault = charge["1.0.0"].system_error(SystemFault("E", "m"), source=charge.type, to=order.type)
    cancel = order["1.0.0"].cancel("no", source=WEB, subject=inner.subject)
    base = draw(
        st.sampled_from(
            [
                due.event,
                reply_to(inner, CardCharged("r")),
                reply_to(outer, CardCharged("r")),
                evolve(fault, subject=inner.subject, parentid=outer.id),
                cancel,
                evolve(cancel).with_payload(Cancellation("no", by=FOREIGN), cancel.raw),
                signal("ann"),
                order_request("again"),
            ]
        )
    )
    sources = [base.source, WEB, charge.type, order.type, "arvo.runtime.operator"]
    event: Event[Any] = evolve(
        base,
        source=draw(st.sampled_from(sources)),
        parentid=draw(st.sampled_from([base.parentid, None, inner.id, outer.id, due.event.id])),
        id=draw(st.sampled_from([base.id, "forged", due.event.id])),
    )
    if base is due.event and draw(st.booleans()):
        data = {**base.raw, "at": draw(st.sampled_from([NOW, LATER])).isoformat()}
        event = Event.from_dict({**event.to_dict(), "data": data})
    return event


def _change(system: System, event: Event[Any], record: Record) -> Record | None:
    """Return the record that a step on *event* leaves, None if it changes nothing."""
    result = step(system, event, record, now=LATER)
    if isinstance(result, Failure):
        return None
    commit = result.unwrap()
    assert isinstance(commit, Commit)
    return commit.record


def _is_reply(event: Event[Any]) -> bool:
    return event.type in (*charge["1.0.0"].emitted, charge["1.0.0"].system_error_type)


@pytest.mark.promise("I12")
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_no_event_from_outside_answers_times_cancels_or_fails_a_workflow(
    kind: str, data: st.DataObject
) -> None:
    """I12: unless it answers the request that left by a domain, or is a signal."""
    system, begun, record = _begin(kind)
    outer = next(event for event in begun.events if event.domain == "bank")
    event = data.draw(_forged(begun))

    if check_outside(system, event, record) is not None:
        note("refused")
    elif _change(system, event, record) is not None:
        note(f"changed by {event.type}")
        is_answer = _is_reply(event) and event.parentid == outer.id and event.source == charge.type
        assert is_answer or event.type == approve.type


@pytest.mark.promise("I12")
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_step_compares_each_event_with_the_record(kind: str, data: st.DataObject) -> None:
    """I12: a forged event changes nothing where it comes past the door, as on a broker."""
    system, begun, record = _begin(kind)
    event = data.draw(_forged(begun))

    if _change(system, event, record) is None:
        return
    note(f"changed by {event.type}")
    if event.type == begun.timers[0].event.type:
        assert (event.id, event.raw) == (begun.timers[0].event.id, begun.timers[0].event.raw)
    elif event.type == cancel_type(order.type):
        assert event.raw["by"] in (None, record.parent)
    elif _is_reply(event):
        assert event.source == charge.type
        assert event.parentid in record.pending_requests
    else:
        assert event.type == approve.type


@pytest.mark.promise("I12")
@given(data=st.data())
def test_no_event_from_outside_speaks_for_a_workflow_of_this_system(data: st.DataObject) -> None:
    """I12: its answer would be taken for the answer to a request of that workflow."""
    system, begun, record = _begin("resumable")
    inner, outer = (event for event in begun.events if event.type == charge.type)
    ids = st.sampled_from([inner.id, outer.id, "x"])
    forged = evolve(
        inner,
        id=data.draw(ids),
        source=data.draw(st.sampled_from([order.type, WEB])),
        redirectto=data.draw(st.sampled_from([order.type, None, WEB])),
    )

    refused = check_outside(system, forged, record)

    speaks = order.type in (forged.source, forged.redirectto)
    assert (refused is None) == (forged.id == outer.id or not speaks)


@pytest.mark.promise("I12")
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_only_the_same_event_is_a_duplicate_of_the_one_that_began(
    kind: str, data: st.DataObject
) -> None:
    """I12: an outsider with another event of that id has a conflict, and reads no answer."""
    system, begun, record = _begin(kind)
    first = begun.event
    amount = data.draw(st.sampled_from([first.raw["amount"], 11.0]))
    changes = {
        "source": data.draw(st.sampled_from([first.source, "com.mallory.web", charge.type])),
        "redirectto": data.draw(st.sampled_from([first.redirectto, "com.mallory.web"])),
        "parentid": data.draw(st.sampled_from([first.parentid, "x"])),
        "data": {**first.raw, "amount": amount},
    }
    time = data.draw(st.sampled_from([first.time, "2026-02-03T04:05:06Z"]))
    event = Event.from_dict({**first.to_dict(), **changes, "time": time})

    result = step(system, event, record, now=LATER)

    is_same = {**event.to_dict(), "time": first.time} == first.to_dict()
    note(f"the same: {is_same}")
    assert _change(system, event, record) is None
    # A handler of the system that is repeated after a crash may emit other content.
    assert isinstance(result, Failure) != (is_same or event.source == charge.type)
    assert (find_id_conflict(record, event) is None) == is_same


_JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
    lambda inner: st.dictionaries(st.sampled_from(["order_id", "amount", "other"]), inner),
)


@given(
    st.dictionaries(st.sampled_from(["order_id", "amount", "other"]), _JSON),
    st.sampled_from([charge.type, "com.payment.other"]),
    st.sampled_from(["1.0.0", "0.0.0", "7.0.0"]),
    st.sampled_from([charge.uri, "#/other"]),
)
def test_a_sender_refuses_of_the_listed_version_exactly_what_the_remote_handler_refuses(
    data: dict[str, Any], event_type: str, version: str, uri: str
) -> None:
    """And of another version only what no version of the contract can accept."""
    request = charge["1.0.0"].accepts(ChargeCard("o1", 1), source=WEB).to_dict()
    changes = {"data": data, "type": event_type, "dataschema": f"{uri}/{version}"}
    event = Event.from_dict({**request, **changes})

    at_sender = check_remote(System([], remote=[charge["1.0.0"]]), event)
    at_handler = check_outside(System([payments]), event, None)

    if (event_type, uri) != (charge.type, charge.uri) or version == "1.0.0":
        assert (at_sender is None) == (at_handler is None)
    else:
        assert at_sender is None
