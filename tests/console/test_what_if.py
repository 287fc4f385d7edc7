"""What if: a turn that is taken again is compared with what happened in it."""

import asyncio
from datetime import timedelta
from typing import Any

from attrs import evolve

from arvo import (
    Commands,
    Emit,
    Event,
    Fail,
    Flow,
    Persist,
    Record,
    Schedule,
    System,
    Turn,
    ask,
    call,
    flow,
)
from arvo.console.replay.walks import Found
from arvo.console.replay.what_if import take_turn
from arvo.console.views.secrets import Redaction
from arvo.console.views.workflow.travel import DifferenceRow, Moment
from arvo.console.views.workflow.what_if import WhatIf, show_what_if
from arvo.engine.system.schemas import Schemas
from tests.shop import (
    NOW,
    SERVICES,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    expect_commit,
    make_workflow,
    order,
    order_request,
    payments,
    reply_to,
    shop,
)


def limited(turn: Turn[Any]) -> Commands:
    """Take small orders, later the larger they are."""
    amount = turn.event.data.amount
    if amount > 50:
        return Fail("too much")
    return Persist(amount), Emit(ChargeCard("o1", amount)), Schedule("soon", after=amount)


def what_if(
    system: System, event: Event[Any], before: Record | None = None, **data: object
) -> WhatIf:
    """Take a turn, and take it again with other data."""
    commit = expect_commit(system, event, before)
    moment = Moment(
        revision=1 if before is None else 2,
        at=NOW,
        position=0,
        event=event,
        produced=commit.events,
        record=commit.record,
    )
    found = Found(moment=moment, before=before, path=(), secret=frozenset(), first=1, last=2)
    edited = Event.from_dict({**event.to_dict(), "data": {**event.raw, **data}})
    result = asyncio.run(take_turn(system, found, edited))
    return show_what_if(system, moment, result, Redaction(Schemas.of(system), shows_data=True))


def test_the_same_event_leads_to_the_same_turn() -> None:
    """Also with events that the page reads from a store."""
    assert what_if(System([make_workflow(limited)]), order_request()).is_same


def test_other_data_leads_to_another_state_other_events_and_other_timers() -> None:
    """Ids differ always, and are not compared."""
    view = what_if(System([make_workflow(limited)]), order_request(), amount=20.0)

    later, sooner = ((NOW + timedelta(seconds=it)).isoformat() for it in (20, 10))
    assert view.state == (DifferenceRow("state", "10.0", "20.0"),)
    assert view.timers == (DifferenceRow("timers.soon", repr(sooner), repr(later)),)
    assert view.sent == (DifferenceRow("sent[0].data.amount", "10.0", "20.0"),)
    assert (view.status, view.failure) == (("active", "active"), ("", ""))


def test_a_turn_that_fails_now_says_why() -> None:
    """And which events it would not have sent."""
    view = what_if(System([make_workflow(limited)]), order_request(), amount=99.0)

    assert view.status == ("active", "failed")
    assert view.failure == ("", "Fail: too much")
    assert view.sent[0].before == "'com.payment.charge'"
    assert not view.is_same


def test_data_that_fits_no_contract_is_refused_with_the_fields() -> None:
    """As a worker would refuse it."""
    view = what_if(shop, order_request(), amount="much")

    assert "does not fit" in view.refusal
    assert [issue.path for issue in view.issues] == ["data.amount"]


def test_effects_are_not_performed() -> None:
    """Their results are those of the turn; for another effect there is none."""
    performed: list[float] = []

    def price(amount: float) -> float:
        performed.append(amount)
        return amount

    @flow(order, "1.0.0", services=SERVICES)
    def priced(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        total = yield from call(price, event.data.amount)
        yield from ask(ChargeCard("o1", total), CardCharged)
        return OrderFulfilled("t")

    system = System([priced, payments])
    event = order_request()
    found = Found(
        moment=Moment(revision=1, at=NOW, position=0, event=event, produced=(), record=None),
        before=None,
        path=(),
        secret=frozenset(),
        first=1,
        last=1,
    )
    result = asyncio.run(take_turn(system, found, event))
    view = show_what_if(
        system, found.moment, result, Redaction(Schemas.of(system), shows_data=True)
    )

    assert "is not recorded" in view.refusal
    assert performed == []


def test_a_turn_without_the_record_before_it_cannot_be_taken() -> None:
    """Retention has removed the beginning."""
    first = expect_commit(shop, order_request())
    reply = reply_to(first.events[0], CardCharged("r"))
    moment = Moment(revision=2, at=NOW, position=2, event=reply, produced=(), record=None)
    found = Found(moment=moment, before=None, path=(), secret=frozenset(), first=2, last=2)

    result = asyncio.run(take_turn(shop, found, reply))
    view = show_what_if(shop, moment, result, Redaction(Schemas.of(shop), shows_data=True))

    assert "does not hold the record before it" in view.refusal
    known = asyncio.run(take_turn(shop, evolve(found, before=first.record), reply))
    assert show_what_if(
        shop, moment, known, Redaction(Schemas.of(shop), shows_data=True)
    ).status == ("unknown", "active")
