"""Plain programs: processes that know only the wire format interoperate with Arvo over NATS."""

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
from arvo.engine.step.route import ToHandler
from arvo.interpreters.paired.documents.codec import encode_message
from arvo.interpreters.ports.messages import Message
from tests.interpreters.brokers import event_of
from tests.interpreters.nats import plain_programs
from tests.interpreters.nats.plain_programs import CLERK, WORKFLOW
from tests.parity.recordings import folder
from tests.servers import nats_url

TIMEOUT_SECONDS = 30.0


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


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, plain_programs.__file__, *arguments], stdout=subprocess.PIPE, text=True
    )


async def check_recorded(ours: NatsBroker, cases: list[dict[str, Any]]) -> None:
    """Receive the published events of the reference, and compare them."""
    async with aclosing(ours.deliveries(["com.wire.recorded"])) as incoming:
        for case in cases:
            if case["valid"]:
                delivery = await anext(incoming)
                assert event_of(delivery).to_dict() == case["json"]
                await ours.ack(delivery)


async def final_record(runtime: Runtime) -> Record:
    """Wait until the workflow has ended."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            record = await runtime.record(plain_programs.subject_of("run-1"))
            if record is not None and record.status != "active":
                return record
            await asyncio.sleep(0.05)


def test_programs_that_know_only_the_wire_format_interoperate() -> None:
    """They import the driver and json: one begins a workflow, the other replies to it.

    Recorded events of the reference, published without Arvo, are decoded as they were.
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
            await theirs.publish([encode_message(Message(event, ToHandler(CLERK, event.subject)))])

        # The first to use the clerk's stream creates it, with the settings of a work queue.
        await theirs.publish([])
        clerk_process = start("clerk", nats_url(), f"{prefix}-clerk", prefix)
        requester_process = start("requester", nats_url(), prefix, str(recorded))
        async with runtime:
            record = await final_record(runtime)
            await check_recorded(ours, cases)
            await runtime.drain(timeout=TIMEOUT_SECONDS)
        with clerk_process, requester_process:
            assert clerk_process.stdout is not None
            report = json.loads(await asyncio.to_thread(clerk_process.stdout.read))
            assert (clerk_process.wait(20), requester_process.wait(20)) == (0, 0)
        assert report["broken"] == []
        assert report["headers"]["content-type"] == "application/cloudevents+json"

        await ours.close()
        await theirs.close()
        return record

    record = asyncio.run(go())

    # It was begun twice, and consumed once.
    assert (record.status, record.revision) == ("done", 2)
