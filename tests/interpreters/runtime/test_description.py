"""Description: an operator sees what a workflow waits for, and why it failed."""

import asyncio
from datetime import timedelta
from typing import Any

from arvo import (
    Commands,
    Emit,
    Flow,
    MemoryBackend,
    Persist,
    Runtime,
    Schedule,
    System,
    Turn,
    ask,
    flow,
    sleep,
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
