"""Strangers: processes that were written against the wire only work with ours over NATS."""

import asyncio
import json
import subprocess
import sys
from contextlib import aclosing
from secrets import token_hex
from typing import Any

from attrs import frozen

from arvo import (
    Commands,
    Complete,
    Contract,
    Emit,
    EncodedMessage,
    Event,
    NatsBroker,
    OrchestratorContract,
    Record,
    Resumable,
    Runtime,
    System,
    Turn,
    Version,
    Workflow,
)
from tests.interpreters.nats import strangers
from tests.interpreters.nats.strangers import CLERK, WORKFLOW
from tests.parity.recordings import folder
from tests.servers import nats_url

PATIENCE_SECONDS = 30.0


@frozen
class Order:
    number: int


@frozen
class Count:
    number: int


@frozen
class Counted:
    number: int


@frozen
class Ordered:
    number: int


clerk = Contract(
    uri="#/wire/clerk",
    type=CLERK,
    versions={"1.0.0": Version(accepts=Count, emits={"evt.wire.counted": Counted})},
)
order = OrchestratorContract(
    uri="#/wire/order",
    name=WORKFLOW.removeprefix("arvo.orc."),
    versions={"1.0.0": Workflow(init=Order, complete=Ordered)},
)


def ordering(turn: Turn[Any]) -> Commands:
    match turn.event.data:
        case Order(number=number):
            return Emit(Count(number + 1), domain="wire")
        case Counted(number=number):
            return Complete(Ordered(number + 1))
        case _:
            return None


def started(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, strangers.__file__, *arguments], stdout=subprocess.PIPE, text=True
    )


async def read(ours: NatsBroker, cases: list[dict[str, Any]]) -> None:
    """Take what the reference's events were published as, and find them as they were."""
    async with aclosing(ours.deliveries(["com.wire.recorded"])) as incoming:
        for case in cases:
            if case["valid"]:
                delivery = await anext(incoming)
                assert delivery.message.event.to_dict() == case["json"]
                await ours.ack(delivery)


async def ended(runtime: Runtime) -> Record:
    """Wait for the workflow to end."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            record = await runtime.record(strangers.subject_of("run-1"))
            if record is not None and record.status != "active":
                return record
            await asyncio.sleep(0.05)


def test_processes_that_know_only_the_wire_work_with_ours() -> None:
    """They import the driver and json: one begins a workflow of ours, the other answers it.

    What a recording of the reference holds, published by hand, is read by ours as it was meant.
    """
    prefix = f"t{token_hex(6)}"
    recorded = folder() / "events.jsonl"
    cases = list(map(json.loads, recorded.read_text().splitlines()))
    system = System([Resumable(order, {"1.0.0": ordering}, services=[clerk["1.0.0"]])])

    async def go() -> Record:
        ours = NatsBroker(nats_url(), prefix=prefix)
        await ours.publish([])
        theirs = NatsBroker(nats_url(), prefix=f"{prefix}-clerk")
        runtime = Runtime(system, f"{nats_url()}?prefix={prefix}")

        @runtime.on_domain("wire")
        async def pass_on(event: Event[Any]) -> None:
            await theirs.publish([EncodedMessage(CLERK, event, event.subject)])

        # The stream of theirs is made by whoever comes first, with a work queue's settings.
        await theirs.publish([])
        clerk_works = started("clerk", nats_url(), f"{prefix}-clerk", prefix)
        asker_works = started("asker", nats_url(), prefix, str(recorded))
        async with runtime:
            record = await ended(runtime)
            await read(ours, cases)
            await runtime.drain(timeout=PATIENCE_SECONDS)
        with clerk_works, asker_works:
            assert clerk_works.stdout is not None
            said = json.loads(await asyncio.to_thread(clerk_works.stdout.read))
            assert (clerk_works.wait(20), asker_works.wait(20)) == (0, 0)
        assert said["broken"] == []
        assert said["headers"]["content-type"] == "application/cloudevents+json"

        await ours.close()
        await theirs.close()
        return record

    record = asyncio.run(go())

    # Begun twice, and consumed once.
    assert (record.status, record.revision) == ("done", 2)
