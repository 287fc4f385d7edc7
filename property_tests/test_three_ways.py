"""Laws of the three ways to write a workflow: the same order system does the same in each."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import evolve, frozen
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import (
    Cancel,
    Cancellation,
    Commands,
    Commit,
    Compensate,
    Complete,
    Contract,
    Emit,
    Event,
    Fail,
    Flow,
    Machine,
    Orchestrator,
    OrchestratorContract,
    Persist,
    Record,
    Resumable,
    Schedule,
    ServiceFailed,
    Stamp,
    System,
    SystemFault,
    TimerFired,
    Turn,
    Version,
    Workflow,
    ask,
    fail,
    flow,
    gather,
    race,
    sleep,
    stamping,
    step,
)
from arvo.statechart import State, Transition, assign, emit

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PATIENCE = timedelta(minutes=5)


@frozen
class PlaceOrder:
    order_id: str


@frozen
class OrderFulfilled:
    tracking: str


@frozen
class ChargeCard:
    order_id: str


@frozen
class CardCharged:
    receipt: str


@frozen
class CardDeclined:
    reason: str


@frozen
class RefundCard:
    receipt: str


@frozen
class CardRefunded:
    receipt: str


@frozen
class BookShipment:
    order_id: str


@frozen
class ShipmentBooked:
    tracking: str


@frozen
class SendMail:
    order_id: str


@frozen
class MailSent:
    order_id: str


def _service(name: str, accepts: type, *emits: type) -> Any:
    return Contract(
        uri=f"#/three/{name}",
        type=f"com.three.{name}",
        versions={
            "1.0.0": Version(
                accepts=accepts,
                emits={f"evt.three.{kind.__name__.lower()}": kind for kind in emits},
            )
        },
    )["1.0.0"]


charge = _service("charge", ChargeCard, CardCharged, CardDeclined)
refund = _service("refund", RefundCard, CardRefunded)
ship = _service("ship", BookShipment, ShipmentBooked)
mail = _service("mail", SendMail, MailSent)
SERVICES: Final = (charge, refund, ship, mail)
order = OrchestratorContract(
    uri="#/three/order",
    name="three.order",
    versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled)},
)


@frozen
class OrderState:
    """What the resumable remembers."""

    order_id: str
    tracking: str | None = None
    mailed: bool = False


def turn_by_turn(turn: Turn[OrderState]) -> Commands:
    """Charge within five minutes, then ship and mail; refund if that goes wrong."""
    state = turn.state
    match turn.event.data:
        case PlaceOrder(order_id=order_id):
            patience = Schedule("payment", after=PATIENCE)
            return Persist(OrderState(order_id)), Emit(ChargeCard(order_id)), patience
        case TimerFired(name="payment"):
            return Fail("the payment took too long")
        case CardDeclined(reason=reason):
            return Fail(f"declined: {reason}")
        case CardCharged(receipt=receipt):
            return (
                Cancel("payment"),
                Compensate(RefundCard(receipt)),
                Emit(BookShipment(state.order_id)),
                Emit(SendMail(state.order_id)),
            )
        case ShipmentBooked(tracking=tracking):
            return _fulfilled(evolve(state, tracking=tracking))
        case MailSent():
            return _fulfilled(evolve(state, mailed=True))
        case SystemFault(message=message):
            return Fail(f"a service failed: {message}")
        case Cancellation():
            return None
        case other:
            raise AssertionError(other)


def _fulfilled(state: OrderState) -> Commands:
    if state.tracking is None or not state.mailed:
        return Persist(state)
    return Persist(state), Complete(OrderFulfilled(state.tracking))


def _refunded(paid: CardCharged | CardDeclined) -> RefundCard | None:
    return RefundCard(paid.receipt) if isinstance(paid, CardCharged) else None


@flow(order, "1.0.0", services=SERVICES)
def straight_down(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """The same, straight down."""
    id_ = event.data.order_id
    try:
        charged = ask(ChargeCard(id_), CardCharged, CardDeclined, undo=_refunded)
        paid = yield from race(charged, sleep(PATIENCE))
        match paid:
            case None:
                return fail("the payment took too long")
            case CardDeclined(reason=reason):
                return fail(f"declined: {reason}")
            case CardCharged():
                pass
        booked, _ = yield from gather(
            ask(BookShipment(id_), ShipmentBooked), ask(SendMail(id_), MailSent)
        )
    except ServiceFailed as failed:
        return fail(f"a service failed: {failed.fault.message}")
    return OrderFulfilled(booked.tracking)


@frozen
class Progress:
    """What the chart remembers."""

    order_id: str
    tracking: str = ""


def _declined(_: Progress, event: Event[CardDeclined]) -> Fail:
    return Fail(f"declined: {event.data.reason}")


def _broken(_: Progress, event: Event[SystemFault]) -> Fail:
    return Fail(f"a service failed: {event.data.message}")


machine = Machine(
    contract=order["1.0.0"],
    services=SERVICES,
    context=Progress,
    initial="charging",
    output=lambda c, _: OrderFulfilled(c.tracking),
    on={SystemFault: Transition(actions=emit(_broken))},
    states={
        "charging": State(
            entry=emit(lambda c, _: ChargeCard(c.order_id)),
            on={
                CardDeclined: Transition(actions=emit(_declined)),
                CardCharged: Transition(
                    "sending", actions=emit(lambda _, e: Compensate(RefundCard(e.data.receipt)))
                ),
            },
            after={PATIENCE: Transition(actions=emit(Fail("the payment took too long")))},
        ),
        "sending": State(
            type="parallel",
            entry=[
                emit(lambda c, _: BookShipment(c.order_id)),
                emit(lambda c, _: SendMail(c.order_id)),
            ],
            on_done="fulfilled",
            states={
                "parcel": State(
                    initial="asked",
                    states={
                        "asked": State(
                            on={
                                ShipmentBooked: Transition(
                                    "booked",
                                    actions=assign(tracking=lambda _, e: e.data.tracking),
                                )
                            }
                        ),
                        "booked": State(type="final"),
                    },
                ),
                "mail": State(
                    initial="asked",
                    states={"asked": State(on={MailSent: "sent"}), "sent": State(type="final")},
                ),
            },
        ),
        "fulfilled": State(type="final"),
    },
)


FORMS: Final[Mapping[str, System]] = {
    "orchestrator": System([Orchestrator([machine])]),
    "resumable": System(
        [Resumable(order, {"1.0.0": turn_by_turn}, services=SERVICES, state=OrderState)]
    ),
    "flow": System([straight_down]),
}

# What each service answers: an event of its contract, or None for a system error.
ANSWERS = st.fixed_dictionaries(
    {
        charge.type: st.sampled_from([CardCharged("r-1"), CardDeclined("limit"), None]),
        ship.type: st.sampled_from([ShipmentBooked("t-1"), None]),
        mail.type: st.sampled_from([MailSent("o-1"), None]),
        refund.type: st.just(CardRefunded("r-1")),
    }
)


@frozen
class Seen:
    """What somebody outside sees of one step: what was delivered, and what came of it."""

    delivered: str
    outcome: str
    sent: tuple[tuple[str, Any, str | None], ...]
    timers: int
    status: str


def seen(system: System, answers: Mapping[str, Any], choices: list[int]) -> list[Seen]:
    """Deliver replies, the timer and a cancellation in a drawn order, to the last."""
    with stamping(lambda: Stamp("begin", NOW.isoformat(timespec="milliseconds"))):
        root = order["1.0.0"].init(PlaceOrder("o-1"), source="com.three.web")
    waiting: dict[str, tuple[Event[Any], datetime]] = {"begin": (root, NOW)}
    record: Record | None = None
    now, steps = NOW, list[Seen]()
    for choice in choices:
        # Mostly a reply: a drawn order would else be cancelled, or wait too long, nearly always.
        replies = [name for name in sorted(waiting) if name.startswith("answer")]
        pool = replies if replies and choice % 4 else sorted(waiting)
        name = pool[choice % len(pool)]
        event, due = waiting.pop(name)
        now = max(now, due)
        commit = step(system, event, record, now=now).unwrap()
        assert isinstance(commit, Commit)
        record = commit.record or record
        assert record is not None
        sent = tuple((each.type, each.raw, each.to) for each in commit.events)
        steps.append(Seen(name, commit.outcome, sent, len(record.timers), record.status))
        for each in commit.events:
            if each.type in answers:
                waiting[f"answer of {each.type}"] = _answered(each, answers[each.type]), NOW
        for timer in commit.timers:
            waiting["timer"] = timer.event, timer.due
        if name == "begin" and commit.outcome == "handled":
            waiting["cancel"] = _cancelled(root), NOW
        if not waiting:
            break
    return steps


def _answered(asked: Event[Any], answer: Any) -> Event[Any]:
    service = next(each for each in SERVICES if each.type == asked.type)
    envelope: dict[str, Any] = {
        "source": asked.type,
        "id": f"re-{asked.type}",
        "time": NOW,
        "subject": asked.subject,
        "parentid": asked.id,
        "to": asked.redirectto,
    }
    if answer is None:
        fault = SystemFault(errorName="Down", errorMessage=service.type)
        event: Event[Any] = service.system_error(fault, **envelope)
    else:
        event = service.emits(answer, **envelope)
    return event


def _cancelled(root: Event[Any]) -> Event[Any]:
    return order["1.0.0"].cancel(
        "changed my mind", source="com.three.web", id="cancel", time=NOW, subject=root.subject
    )


@given(ANSWERS, st.lists(st.integers(0, 11), min_size=8, max_size=16))
def test_the_same_order_system_does_the_same_in_each_form(
    answers: Mapping[str, Any], choices: list[int]
) -> None:
    """For any answers, in any order: nobody outside can tell the forms apart."""
    plays = {name: seen(system, answers, choices) for name, system in FORMS.items()}

    note(f"ends {plays['flow'][-1].status}")
    first, *others = plays.values()
    assert all(other == first for other in others), plays
