"""Dead letters: an operator can inspect, redrive and delete them."""

import asyncio
from datetime import UTC, datetime

import pytest

from arvo import (
    Commands,
    ContractViolation,
    Emit,
    Event,
    EventHandler,
    Runtime,
    Stats,
    System,
    Violated,
)
from tests.interpreters.inside import send_inside
from tests.interpreters.runtime.running import (
    new_backend,
    reply_to_an_unknown_workflow,
    run_runtime,
)
from tests.shop import (
    CardCharged,
    ChargeCard,
    charge,
    charge_request,
    payment_handler,
    shop,
)

pytestmark = pytest.mark.usefixtures("each_backend")


@pytest.mark.promise("I5")
def test_a_dead_letter_can_be_redriven_after_its_cause_is_fixed() -> None:
    """The same event is delivered again: a violation has changed nothing (promise I5)."""
    fixed: list[bool] = []

    def handler(event: Event[ChargeCard]) -> Commands:
        return Emit(CardCharged("r") if fixed else {"receipt": 1}, type="evt.payment.charged")

    async def work(runtime: Runtime) -> None:
        await runtime.send(charge_request())
        await runtime.drain(timeout=60)
        (dead_letter,) = await runtime.dead_letters()
        assert "data.receipt: expected a string, got 1" in dead_letter.reason
        assert (dead_letter.event, dead_letter.attempts, dead_letter.at[:4]) == (
            charge_request(),
            1,
            "2030",
        )
        fixed.append(True)
        await runtime.redrive_dead_letter(dead_letter.id)
        await runtime.drain(timeout=60)
        assert await runtime.dead_letters() == ()
        for act in (runtime.redrive_dead_letter, runtime.delete_dead_letter):
            with pytest.raises(Violated, match="id: expected the id of a dead letter"):
                await act(dead_letter.id)

    _, stats = run_runtime(
        System([payment_handler(handler)]), work, now=lambda: datetime(2030, 1, 1, tzinfo=UTC)
    )

    assert stats == Stats(handled=1, dead_lettered=1, unclaimed=1)


def test_a_dead_letter_can_be_deleted() -> None:
    """An operator does it on purpose."""

    async def work(runtime: Runtime) -> None:
        await send_inside(runtime, reply_to_an_unknown_workflow())
        await runtime.drain(timeout=60)
        (dead_letter,) = await runtime.dead_letters()
        await runtime.delete_dead_letter(dead_letter.id)
        assert await runtime.dead_letters() == ()

    run_runtime(shop, work)


def test_a_dead_letter_whose_event_has_no_handler_stays() -> None:
    """Redriving it must not lose it."""

    async def work(runtime: Runtime) -> int:
        await runtime.send(charge_request())
        await runtime.drain(timeout=60)
        (dead_letter,) = await runtime.dead_letters()
        with pytest.raises(Violated, match="no handler answers event"):
            await runtime.redrive_dead_letter(dead_letter.id)
        return len(await runtime.dead_letters())

    lost = System([payment_handler(lambda _: Emit(CardCharged("r"), to="com.unknown.address"))])
    dead_letters, _ = run_runtime(lost, work)

    assert dead_letters == 1


def test_a_dead_letter_contains_its_violation() -> None:
    """A report can tell a contract violation from a configuration violation, and names each
    field.
    """
    refusing = System([EventHandler(charge, {"1.0.0": lambda _: Emit({}, type="evt.unknown.x")})])

    async def ask() -> None:
        async with Runtime(refusing, new_backend()) as runtime:
            with pytest.raises(Violated) as refused:
                await runtime.request(charge_request(), timeout=60)
            (dead_letter,) = await runtime.dead_letters()

            assert dead_letter.violation == refused.value.violation
            assert isinstance(dead_letter.violation, ContractViolation)

    asyncio.run(ask())
