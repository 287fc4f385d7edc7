"""Laws of the three kinds of workflow: one order workflow behaves equally in each."""

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
TIMEOUT = timedelta(minutes=5)


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
    """The state of the resumable."""

    order_id: str
    tracking: str | None = None
    mailed: bool = False


def turn_by_turn(turn: Turn[OrderState]) -> Commands:
    """Charge within five minutes, then ship and mail; refund on a failure."""
    state = turn.state
    match turn.event.data:
        case PlaceOrder(order_id=order_id):
            timeout = Schedule("payment", after=TIMEOUT)
            return Persist(OrderState(order_id)), Emit(ChargeCard(order_id)), timeout
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
def as_generator(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
    """The same workflow as a flow."""
    id_ = event.data.order_id
    try:
        charged = ask(ChargeCard(id_), CardCharged, CardDeclined, compensate=_refunded)
        paid = yield from race(charged, sleep(TIMEOUT))
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
    """The context of the chart."""

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
            after={TIMEOUT: Transition(actions=emit(Fail("the payment took too long")))},
        ),
        "sending": State(
            type="parallel",
            entry=[
                emit(lambda c, _: BookShipment(c.order_id)),
                emit(lambda c, _: SendMail(c.order_id)),
            ],
            on_done="fulfilled",
            states={
                "shipment": State(
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


KINDS: Final[Mapping[str, System]] = {
    "orchestrator": System([Orchestrator([machine])]),
    "resumable": System(
        [Resumable(order, {"1.0.0": turn_by_turn}, services=SERVICES, state=OrderState)]
    ),
    "flow": System([as_generator]),
}

# The answer of each service: an event of its contract, or None for a system error.
ANSWERS = st.fixed_dictionaries(
    {
        charge.type: st.sampled_from([CardCharged("r-1"), CardDeclined("limit"), None]),
        ship.type: st.sampled_from([ShipmentBooked("t-1"), None]),
        mail.type: st.sampled_from([MailSent("o-1"), None]),
        refund.type: st.just(CardRefunded("r-1")),
    }
)


@frozen
class Observation:
    """The visible result of one step: the delivery, the outcome and the events sent."""

    delivered: str
    outcome: str
    sent: tuple[tuple[str, Any, str | None], ...]
    timers: int
    status: str


def observe(system: System, answers: Mapping[str, Any], choices: list[int]) -> list[Observation]:
    """Deliver replies, the timer and a cancellation in a drawn order until none is left."""
    with stamping(lambda: Stamp("begin", NOW.isoformat(timespec="milliseconds"))):
        root = order["1.0.0"].init(PlaceOrder("o-1"), source="com.three.web")
    waiting: dict[str, tuple[Event[Any], datetime]] = {"begin": (root, NOW)}
    record: Record | None = None
    now, steps = NOW, list[Observation]()
    for choice in choices:
        # Mostly a reply: else nearly every order would be cancelled or time out.
        replies = [name for name in sorted(waiting) if name.startswith("answer")]
        pool = replies if replies and choice % 4 else sorted(waiting)
        name = pool[choice % len(pool)]
        event, due = waiting.pop(name)
        now = max(now, due)
        commit = step(system, event, record, now=now).unwrap()
        assert isinstance(commit, Commit)
        record = commit.record or record
        assert record is not None
        sent = tuple((event.type, event.raw, event.to) for event in commit.events)
        steps.append(Observation(name, commit.outcome, sent, len(record.timers), record.status))
        for request in commit.events:
            if request.type in answers:
                reply = make_reply(request, answers[request.type])
                waiting[f"answer of {request.type}"] = reply, NOW
        for timer in commit.timers:
            waiting["timer"] = timer.event, timer.due
        if name == "begin" and commit.outcome == "handled":
            waiting["cancel"] = make_cancellation(root), NOW
        if not waiting:
            break
    return steps


def make_reply(request: Event[Any], answer: Any) -> Event[Any]:
    service = next(service for service in SERVICES if service.type == request.type)
    options: dict[str, Any] = {
        "source": request.type,
        "id": f"re-{request.type}",
        "time": NOW,
        "subject": request.subject,
        "parentid": request.id,
        "to": request.redirectto,
    }
    if answer is None:
        fault = SystemFault(errorName="Down", errorMessage=service.type)
        event: Event[Any] = service.system_error(fault, **options)
    else:
        event = service.emits(answer, **options)
    return event


def make_cancellation(root: Event[Any]) -> Event[Any]:
    return order["1.0.0"].cancel(
        "changed my mind", source="com.three.web", id="cancel", time=NOW, subject=root.subject
    )


@given(ANSWERS, st.lists(st.integers(0, 11), min_size=8, max_size=16))
def test_one_order_workflow_behaves_equally_in_each_kind(
    answers: Mapping[str, Any], choices: list[int]
) -> None:
    """For any answers in any order, callers and services see no difference."""
    observations = {name: observe(system, answers, choices) for name, system in KINDS.items()}

    note(f"ends {observations['flow'][-1].status}")
    first, *others = observations.values()
    assert all(other == first for other in others), observations
