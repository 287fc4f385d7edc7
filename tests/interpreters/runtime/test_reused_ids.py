"""Reused ids: another event with the id of one that was consumed is refused, not dropped."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve

from arvo import Effects, Emit, Event, NoReply, Runtime, System, Violated, call
from tests.handlers.test_signals import signal
from tests.handlers.test_signals import system as approving
from tests.interpreters.runtime.running import new_backend, within
from tests.interpreters.until import until
from tests.shop import (
    WEB,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge_request,
    make_workflow,
    order_request,
    payment_handler,
    reply_to,
    shipping,
    shop,
)

pytestmark = pytest.mark.usefixtures("each_backend")

REFUSED = "another event with this id was consumed"


def send_all(system: System, events: Sequence[Event[Any]]) -> tuple[list[str], int, Any]:
    """Send events one after the other.

    Return the reasons of the dead letters, the number of duplicates, and the last record of the
    workflow of the first event.
    """

    async def go() -> tuple[list[str], int, Any]:
        async with Runtime(system, new_backend()) as runtime:
            for event in events:
                await runtime.send(event)
                await runtime.drain(timeout=60)
            reasons = [entry.reason for entry in await runtime.dead_letters()]
            record = await runtime.record(events[0].subject)
            return reasons, runtime.stats().duplicates, record

    return within(go())


@pytest.mark.promise("I2")
def test_another_signal_by_a_known_id_is_a_dead_letter() -> None:
    """I2: its sender believes that the workflow has it."""
    first = signal("Ada")
    other = Event.from_dict({**first.to_dict(), "data": {"by": "Mallory"}})

    (reason,), duplicates, record = send_all(approving, [order_request(), first, other])

    assert REFUSED in reason
    assert "id: expected a new id, or the content of the event that was consumed" in reason
    assert f"got {first.id!r} from {first.source!r}" in reason
    assert (duplicates, record.state) == (0, ["Ada"])


@pytest.mark.promise("I2")
def test_the_same_signal_once_more_is_a_duplicate() -> None:
    """I2: a client that lost its connection sends it again, with another time and trace."""
    first = signal("Ada")
    again = evolve(first, time="2026-02-03T04:05:06Z", traceparent="00-1-2-01")

    reasons, duplicates, record = send_all(approving, [order_request(), first, first, again])

    assert (reasons, duplicates, record.state) == ([], 2, ["Ada"])


@pytest.mark.promise("I2")
def test_another_signal_for_an_ended_workflow_is_a_dead_letter() -> None:
    """I2: a signal that comes too late is consumed, and another one by its id is still another."""
    events = [order_request(), *(signal(by) for by in ("Ada", "Bob", "Cid"))]
    other = Event.from_dict({**events[-1].to_dict(), "data": {"by": "Mallory"}})

    (reason,), _, record = send_all(approving, [*events, other])

    assert REFUSED in reason
    assert record.status == "done"


@pytest.mark.promise("I2")
def test_another_request_by_a_known_id_is_refused() -> None:
    """I2: its caller must not wait for an answer, or take that of the first for its own."""

    async def go() -> list[str]:
        async with Runtime(shop, new_backend()) as runtime:
            answer = await runtime.request(charge_request("c1"), timeout=60)
            assert answer.data == CardCharged("r-o1")
            with pytest.raises(Violated, match=REFUSED):
                await runtime.request(charge_request("c1", amount=11.0), timeout=60)
            with pytest.raises(NoReply, match="consumed before"):
                await runtime.request(charge_request("c1"), timeout=60)
            return [entry.reason for entry in await runtime.dead_letters()]

    (reason,) = within(go())

    assert REFUSED in reason


@pytest.mark.promise("I2")
def test_another_answer_by_a_known_id_is_a_dead_letter() -> None:
    """I2: the partner behind a domain has answered twice, and differently."""

    def asks(turn: Any) -> Any:
        is_begin = isinstance(turn.event.data, PlaceOrder)
        return Emit(ChargeCard("o1", 1.0), domain="bank") if is_begin else None

    async def go() -> tuple[list[str], int]:
        async with Runtime(System([make_workflow(asks)]), new_backend()) as runtime:
            left: list[Event[Any]] = []
            runtime.on_domain("bank")(left.append)
            await runtime.send(order_request())
            await runtime.drain(timeout=60)
            first = reply_to(left[0], CardCharged("r-1"))
            for answer in (first, first, reply_to(left[0], CardCharged("r-2"))):
                await runtime.send(answer)
                await runtime.drain(timeout=60)
            reasons = [entry.reason for entry in await runtime.dead_letters()]
            return reasons, runtime.stats().duplicates

    (reason,), duplicates = within(go())

    assert REFUSED in reason
    assert duplicates == 1


@pytest.mark.promise("I2")
def test_a_handler_that_is_repeated_may_emit_other_content() -> None:
    """I2: after a crash it makes the same ids, and perhaps another payload."""
    source = {"source": shipping.source, "redirectto": WEB}
    events = [charge_request("c1", amount, **source) for amount in (10.0, 11.0)]

    reasons, duplicates, _ = send_all(shop, events)

    assert (reasons, duplicates) == ([], 1)


@pytest.mark.promise("I2")
def test_a_turn_with_effects_is_refused_before_it_performs_them() -> None:
    """I2: a second customer is not charged, and the first not once more."""
    charged: list[float] = []

    def pay(event: Event[ChargeCard]) -> Effects[Emit]:
        yield from call(charged.append, event.data.amount)
        return Emit(CardCharged("r"))

    events = [charge_request("c1"), charge_request("c1", amount=11.0), charge_request("c1")]

    (reason,), duplicates, _ = send_all(System([payment_handler(pay)]), events)

    assert REFUSED in reason
    assert (charged, duplicates) == ([10.0], 1)


@pytest.mark.promise("I2")
def test_a_request_that_waits_is_not_refused_with_another_event_of_its_id() -> None:
    """I2: nothing of the first event changes."""

    async def go() -> tuple[Any, list[str]]:
        async with Runtime(approving, new_backend()) as runtime:
            waiting = asyncio.create_task(runtime.request(order_request(), timeout=60))

            async def has_begun() -> bool:
                return await runtime.record(order_request().subject) is not None

            await until(has_begun)
            await runtime.send(order_request(amount=11.0))
            await runtime.drain(timeout=60)
            for by in ("Ada", "Bob"):
                await runtime.send(signal(by))
            answer = await waiting
            return answer.data, [entry.reason for entry in await runtime.dead_letters()]

    answer, (reason,) = within(go())

    assert answer == OrderFulfilled("Ada and Bob")
    assert REFUSED in reason
