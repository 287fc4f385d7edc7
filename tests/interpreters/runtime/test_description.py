"""Description: an operator sees what a workflow waits for, and why it failed."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from arvo import (
    Commands,
    Complete,
    Contract,
    Emit,
    Event,
    Fail,
    Flow,
    MemoryBackend,
    Persist,
    Resumable,
    Runtime,
    Schedule,
    System,
    Turn,
    Version,
    ask,
    flow,
    run,
    sleep,
    tell,
)
from tests.interpreters.inside import send_inside
from tests.interpreters.runtime.running import Outage
from tests.shop import (
    NOW,
    SERVICES,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    make_workflow,
    order,
    order_request,
    payment_handler,
    payments,
    reply_to,
)

SUBJECT = order_request().subject


def test_a_description_shows_what_a_workflow_waits_for_and_since_when() -> None:
    """B15, B38: an operator sees why an order hangs."""

    def waits(turn: Turn[Any]) -> Commands:
        return Persist("charging"), Emit(ChargeCard("o1", 1.0)), Schedule("end", after=3600)

    silent = System([make_workflow(waits), payment_handler(lambda event: None)])

    async def go() -> str:
        backend = MemoryBackend(now=lambda: NOW)
        async with Runtime(silent, backend, now=lambda: NOW) as runtime:
            await runtime.send(order_request())
            await runtime.drain(timeout=60)
            description = await runtime.describe(SUBJECT)
            [request] = description.requests
            assert (request.type, request.since) == ("com.payment.charge", NOW)
            return str(description).replace(SUBJECT, "SUBJECT").replace(request.id, "ID")

    assert asyncio.run(go()).splitlines() == [
        "arvo.orc.order.fulfil 1.0.0: active",
        "  workflow   i1",
        "  subject    SUBJECT",
        "  began      2026-01-02 03:04:05 UTC",
        "  changed    2026-01-02 03:04:05 UTC, revision 1",
        "  state      'charging'",
        "  waits for  a reply to com.payment.charge since 2026-01-02 03:04:05 UTC (event ID)",
        "  waits for  the timer end, due 2026-01-02 04:04:05 UTC",
    ]


def test_a_description_shows_why_a_workflow_failed_and_what_has_come_since() -> None:
    """The dead letters can be redriven after the workflow was revived."""
    outage = Outage(down="CardCharged")

    async def go() -> None:
        async with Runtime(outage.system, now=lambda: NOW) as runtime:
            await runtime.send(order_request())
            await runtime.drain(timeout=60)
            history = await runtime.history(SUBJECT)
            request = next(entry.event for entry in history if entry.kind == "produced")
            assert request is not None
            await send_inside(runtime, reply_to(request, CardCharged("r2"), key="late"))
            await send_inside(runtime, order_request("another", subject=SUBJECT))
            await runtime.drain(timeout=60)
            text = str(await runtime.describe(SUBJECT))
            assert "failed     ConnectionError: the database is down" in text
            assert "replies    1 that came since; a revival delivers them again" in text
            assert "waited for  the timer soon" in text
            assert "dead letter  arvo.orc.order.fulfil" in text

    asyncio.run(go())


def test_a_description_shows_the_operations_that_a_flow_waits_for() -> None:
    """A request, a sleep."""

    @flow(order, "1.0.0", services=SERVICES)
    def naps(event: Any) -> Flow[OrderFulfilled]:
        yield from sleep(timedelta(hours=1))
        paid = yield from ask(ChargeCard("o1", 1.0), CardCharged)
        return OrderFulfilled(paid.receipt)

    async def go() -> str:
        async with Runtime(System([naps, payments])) as runtime:
            await runtime.send(order_request())
            await runtime.drain(timeout=60)
            description = await runtime.describe(SUBJECT)
            assert description.waiting_for == ("sleep 1:00:00",)
            return str(description)

    assert "waits for  sleep 1:00:00" in asyncio.run(go())


def test_a_description_shows_that_a_workflow_waits_for_nothing() -> None:
    """It may be a bug: no reply and no timer will come."""
    idle = System([make_workflow(lambda turn: Persist(1))])

    async def go() -> str:
        async with Runtime(idle) as runtime:
            await runtime.send(order_request())
            await runtime.drain(timeout=60)
            return str(await runtime.describe(SUBJECT))

    assert "waits for  a signal at most: no request and no timer is pending" in asyncio.run(go())


@pytest.mark.parametrize("end", ["done", "failed", "cancelled"])
def test_a_workflow_that_is_finished_lists_no_open_request(end: str) -> None:
    """Its requests are still in the record, for the replies that come late and for a revival."""

    def ends(turn: Turn[Any]) -> Commands:
        if turn.input is not None:
            return Emit(ChargeCard("answered", 1.0)), Emit(ChargeCard("silent", 1.0))
        endings: dict[str, Commands] = {
            "done": Complete(OrderFulfilled("t")),
            "failed": Fail("no"),
        }
        return endings.get(end)

    def answers(event: Event[ChargeCard]) -> Emit | None:
        return Emit(CardCharged("r")) if event.data.order_id == "answered" else None

    half = System([make_workflow(ends), payment_handler(answers)])

    async def go() -> None:
        async with Runtime(half) as runtime:
            await runtime.send(order_request())
            if end == "cancelled":
                await runtime.drain(timeout=60)
                await runtime.cancel(SUBJECT, "changed my mind")
            await runtime.drain(timeout=60)
            description = await runtime.describe(SUBJECT)
            [stored] = await runtime.workflows()
            family = await runtime.tree(SUBJECT)

            assert description.record.status == end
            assert description.record.pending_requests
            assert (description.requests, description.waiting_for) == ((), ())
            assert (" without a reply; a revival" in str(description)) == (end == "failed")
            assert "com.payment.charge" not in str(description)
            assert "request" not in f"{stored}{family.draw()}"

    asyncio.run(go())


def test_what_a_flow_tells_is_no_request_that_it_waits_for() -> None:
    """A service may answer it all the same, and the flow takes no notice."""

    @flow(order, "1.0.0", services=SERVICES)
    def tells(event: Any) -> Flow[OrderFulfilled]:
        yield from tell(ChargeCard("o1", 1.0))
        yield from sleep(timedelta(hours=1))
        return OrderFulfilled("t")

    async def go() -> None:
        silent = System([tells, payment_handler(lambda event: None)])
        async with Runtime(silent) as runtime:
            await runtime.send(order_request())
            await runtime.drain(timeout=60)
            description = await runtime.describe(SUBJECT)
            [stored] = await runtime.workflows()

            assert (description.requests, description.waiting_for) == ((), ("sleep 1:00:00",))
            assert "open requests: 0, timers: 1" in str(stored)

    asyncio.run(go())


def test_a_request_to_a_service_without_an_answer_is_not_waited_for() -> None:
    """No reply can come but a system error."""
    mail = Contract(
        uri="#/mail", type="com.shop.mail", versions={"1.0.0": Version(accepts=ChargeCard)}
    )

    def mails(turn: Turn[Any]) -> Commands:
        return Emit(ChargeCard("o1", 1.0)), Schedule("end", after=3600)

    mailing = Resumable(order, {"1.0.0": mails}, services=[mail["1.0.0"]])
    trace = run(
        System([mailing], remote=[mail["1.0.0"]]),
        order_request(),
        until=datetime.fromisoformat(order_request().time),
    )

    record = trace.records[SUBJECT]
    assert (len(record.pending_requests), record.open_requests) == (1, ())
