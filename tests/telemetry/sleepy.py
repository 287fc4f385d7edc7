"""Sleepy: an order with an effect, two workers that share the work, and one that is killed."""

import asyncio
import os
import signal
from pathlib import Path

from arvo import Commands, Effects, Emit, Event, Log, Retry, Runtime, System, call
from arvo.cli.process.telemetry import WORKER_VARIABLE
from tests.shop import CardCharged, ChargeCard, fulfilment, payment_handler, shipping


async def wait(seconds: float) -> None:
    """Wait, as for a server."""
    await asyncio.sleep(seconds)


def pay(event: Event[ChargeCard]) -> Effects[Commands]:
    """Charge the card, with an effect."""
    yield from call(wait, 0.01, retry=Retry(1))
    return Log("info", "paid", {"amount": 10.5}), Emit(CardCharged(f"r-{event.data.order_id}"))


# Names the file that the process makes which is killed.
DEATH_VARIABLE = "ARVO_TEST_DEATH"


def die_once() -> None:
    """Kill this process, unless one was killed before."""
    death = Path(os.environ[DEATH_VARIABLE])
    if not death.exists():
        death.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def pay_at_second_attempt(event: Event[ChargeCard]) -> Effects[Emit]:
    """Charge the card in the process after the one that is killed."""
    yield from call(die_once, retry=Retry(1))
    return Emit(CardCharged(f"r-{event.data.order_id}"))


payments = payment_handler(pay)
deadly = System([payment_handler(pay_at_second_attempt), shipping, fulfilment])
sleepy = System([payments, shipping, fulfilment])


def divided(backend: str) -> Runtime:
    """Return a runtime that lacks the shipping in the first worker, and all else in the second."""
    number = os.environ.get(WORKER_VARIABLE)
    parts = {"1": System([payments, fulfilment]), "2": System([shipping])}
    return Runtime(parts.get(number or "", sleepy), backend)
