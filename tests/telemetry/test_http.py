"""HTTP: the trace of a request goes into the system, and that of what leaves goes out."""

from typing import Any

import httpx
import pytest
from opentelemetry import propagate
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from arvo import Emit, Event, Runtime, System
from arvo.http import Webhook, asgi_app
from arvo.interpreters.http.binding import write_event
from tests.shop import CardCharged, charge_request, payment_handler, shop
from tests.telemetry.recorded import Sdk

PARENT = f"00-{7:032x}-{8:016x}-03"
STATE = "rojo=1 , congo=t61rcWkgMzE"
CHARGE = "process com.payment.charge"


def without_trace(event: Event[Any]) -> dict[str, Any]:
    return {name: value for name, value in event.to_dict().items() if value is not None}


def post(headers: dict[str, str], content: dict[str, Any]) -> Sdk:
    """Post an event to an observed runtime."""
    sdk = Sdk()

    async def work(runtime: Runtime) -> None:
        transport = httpx.ASGITransport(asgi_app(runtime))
        kind = {"content-type": "application/cloudevents+json"}
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            answer = await client.post("/", json=content, headers={**kind, **headers})
            assert answer.is_success, answer.text

    sdk.run(shop, work)
    return sdk


def test_a_request_with_a_trace_is_the_parent_of_what_follows_from_it() -> None:
    """Flags and state byte for byte."""
    sdk = post({"traceparent": PARENT, "tracestate": STATE}, without_trace(charge_request()))

    [send] = sdk.named("send com.payment.charge")
    [process] = sdk.named(CHARGE)
    assert send.parent is not None
    assert (send.parent.trace_id, send.parent.span_id) == (7, 8)
    assert process.context.trace_id == 7
    assert process.parent is not None
    assert process.parent.trace_flags == 3


def test_an_event_with_a_trace_keeps_it_whatever_its_request_has() -> None:
    """CloudEvents, Distributed Tracing: the event may have come a long way."""
    event = charge_request(traceparent=PARENT, tracestate=STATE)
    sdk = post({"traceparent": f"00-{1:032x}-{2:016x}-01"}, without_trace(event))

    [process] = sdk.named(CHARGE)
    assert process.context.trace_id == 7


class Plain(TextMapPropagator):
    """A propagator with a header of its own, as B3 has."""

    def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Any:  # noqa: ARG002 - the API's
        parent = carrier.get("x-trace", "")
        return TraceContextTextMapPropagator().extract({"traceparent": parent}, context)

    def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:  # noqa: ARG002 - the API's
        inner: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(inner, context)
        carrier["x-trace"] = inner.get("traceparent", "")

    @property
    def fields(self) -> set[str]:
        return {"x-trace"}


@pytest.fixture
def plain() -> Any:
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(Plain())
    yield
    propagate.set_global_textmap(before)


@pytest.mark.usefixtures("plain")
def test_the_global_propagator_finds_the_trace_of_a_request() -> None:
    """A service mesh may use other headers than those of W3C."""
    sdk = post({"x-trace": PARENT}, without_trace(charge_request()))

    [process] = sdk.named(CHARGE)
    assert process.context.trace_id == 7


def leave(headers: list[httpx.Headers]) -> Sdk:
    """Let an event leave by a webhook, and note the headers that arrive."""
    sdk = Sdk()
    system = System([payment_handler(lambda _: Emit(CardCharged("r"), domain="partner"))])

    def answer(request: httpx.Request) -> httpx.Response:
        headers.append(request.headers)
        return httpx.Response(204)

    async def work(runtime: Runtime) -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            runtime.on_domain("partner")(Webhook(runtime, client, "http://partner/events"))
            await runtime.send(charge_request())
            await runtime.drain(timeout=30)

    sdk.run(system, work)
    return sdk


def test_a_webhook_sends_the_trace_of_the_span_in_which_its_event_leaves() -> None:
    """So the spans of the partner hang below it."""
    headers: list[httpx.Headers] = []

    sdk = leave(headers)

    [span] = sdk.named("leave partner")
    context = span.context
    expected = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    assert [each["traceparent"] for each in headers] == [expected]


@pytest.mark.usefixtures("plain")
def test_a_webhook_sends_it_by_the_global_propagator() -> None:
    """The same as all other requests of the application."""
    headers: list[httpx.Headers] = []

    sdk = leave(headers)

    [span] = sdk.named("leave partner")
    assert f"{span.context.span_id:016x}" in headers[0]["x-trace"]
    assert "traceparent" not in headers[0]


def test_without_a_span_a_message_has_the_trace_of_its_event() -> None:
    """A runtime that is not observed passes on what it was given."""
    message = write_event(charge_request(traceparent=PARENT, tracestate=STATE), "structured")

    assert (message.headers["traceparent"], message.headers["tracestate"]) == (PARENT, STATE)
