"""Peer: one trace of a workflow of ours and of a handler of the TypeScript packages.

`tests/data/parity/traces.jsonl` was recorded by running `arvo-event-handler` 3.0.25 with the SDK of
OpenTelemetry for Node. A line is a request, the spans that the handler and a client in it made, and
the answer. `parent` and `span` name a span of the line, or `request`, the one that the request
carries.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from arvo import Complete, Emit, Event, Fail, Persist, Runtime, System, Turn
from arvo.core.events.protocol import SystemFault
from tests.shop import (
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge,
    make_workflow,
    order_request,
    payment_handler,
    reply_to,
)
from tests.telemetry.recorded import Sdk, lines_of
from tests.telemetry.test_trees import compare

RECORDED = Path(__file__).parent.parent / "data" / "parity" / "traces.jsonl"
LINES: list[dict[str, Any]] = [json.loads(line) for line in RECORDED.read_text().splitlines()]
WAYS = pytest.mark.parametrize("line", LINES, ids=lambda line: line["way"])

PAYLOADS: Mapping[str, type] = {
    "evt.payment.charged": CardCharged,
    "evt.payment.declined": CardDeclined,
}


def pay_elsewhere(turn: Turn[Any]) -> Any:
    match turn.event.data:
        case PlaceOrder(order_id=order, amount=amount):
            return Persist(1), Emit(ChargeCard(order, amount), domain="typescript")
        case CardCharged():
            return Complete(OrderFulfilled("t"))
        case CardDeclined(reason=reason):
            return Fail(reason)
        case fault:
            assert isinstance(fault, SystemFault)
            return Fail(fault.message)


def spans_of(line: dict[str, Any], request: Event[Any]) -> dict[str, ReadableSpan]:
    """Return the recorded spans as if *request* had led to them, by their names in *line*."""
    assert request.traceparent is not None
    _, trace, parent, flags = request.traceparent.split("-")
    ids, now = {"request": int(parent, 16)}, time.time_ns()
    for number, span in enumerate(line["spans"], 1):
        ids[span["id"]] = number

    def context(name: str) -> SpanContext:
        return SpanContext(
            int(trace, 16), ids[name], is_remote=True, trace_flags=TraceFlags(int(flags, 16))
        )

    return {
        span["id"]: ReadableSpan(
            span["name"],
            context(span["id"]),
            context(span["parent"]),
            attributes=span["attributes"],
            kind=SpanKind[span["kind"]],
            status=Status(StatusCode[span["status"]]),
            start_time=now,
            end_time=now,
        )
        for span in line["spans"]
    }


@WAYS
def test_the_spans_of_a_typescript_handler_hang_between_two_turns_of_ours(
    line: dict[str, Any],
) -> None:
    """The parent of its span is our turn, its own spans are below it, and so is our next turn."""
    sdk, theirs = Sdk(), dict[str, ReadableSpan]()

    async def work(runtime: Runtime) -> None:
        requests: list[Event[Any]] = []
        runtime.on_domain("typescript")(requests.append)
        await runtime.send(order_request())
        await runtime.drain(timeout=30)
        [request] = requests
        theirs.update(spans_of(line, request))
        answer = line["answer"]
        context = theirs[answer["span"]].context
        parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{answer['flags']}"
        await runtime.send(evolve(answered(request, answer), time=request.time, traceparent=parent))

    sdk.run(System([make_workflow(pay_elsewhere)]), work)

    compare(f"typescript {line['way']}", "\n".join(lines_of([*sdk.spans, *theirs.values()])))


def answered(request: Event[Any], answer: Mapping[str, Any]) -> Event[Any]:
    data = answer["data"]
    if (payload := PAYLOADS.get(answer["type"])) is not None:
        return reply_to(request, payload(**data))
    return charge["1.0.0"].system_error(
        Error(data["errorMessage"]),
        source=request.type,
        subject=request.subject,
        parentid=request.id,
        to=request.source,
    )


class Error(Exception):
    """The class of errors there."""


@WAYS
def test_our_span_of_a_handler_has_what_theirs_has(line: dict[str, Any]) -> None:
    """A dashboard for one language shows the other."""
    sdk = Sdk()

    def pay(event: Event[ChargeCard]) -> Emit:
        if event.data.amount > 5_000:
            raise Error("the bank is down")
        if event.data.amount > 1_000:
            return Emit(CardDeclined("limit"))
        return Emit(CardCharged(f"r-{event.data.order_id}"))

    async def work(runtime: Runtime) -> None:
        request = line["request"]
        await runtime.send(
            charge["1.0.0"].accepts(
                ChargeCard(**request["data"]),
                id=request["id"],
                source=request["source"],
                subject=request["subject"],
            )
        )

    sdk.run(System([payment_handler(pay)]), work, reference_attributes=True)

    [span] = sdk.named("process com.payment.charge")
    theirs = next(it for it in line["spans"] if it["name"].startswith("Handler<"))
    ours = {
        # What differs from run to run is masked there.
        name: value if theirs["attributes"].get(name, "") in ("", value) else MASKS.get(name, value)
        for name, value in (span.attributes or {}).items()
    }
    assert span.kind.name == theirs["kind"]
    assert (span.status.status_code.name == "ERROR") == (theirs["status"] == "ERROR")
    assert {name: ours.get(name) for name in theirs["attributes"]} == theirs["attributes"]


MASKS = {
    "consumable.0.cloudevents.event_time": "<time>",
    "emittables.0.cloudevents.event_time": "<time>",
    "emittables.0.cloudevents.event_id": "<id>",
}
