"""Webhook: a domain listener that posts events to a URL."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import orjson
import pytest
from attrs import evolve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from arvo import (
    Backend,
    Commands,
    DeadLetter,
    Emit,
    MemoryBackend,
    Persist,
    Retry,
    Runtime,
    System,
    Turn,
    Violated,
)
from arvo.core.events.event import EVENT_BYTES_MAX
from arvo.http import Webhook, asgi_app
from arvo.interpreters.http.binding import Mode, read_events, write_event
from arvo.interpreters.http.webhook import RETRY_AFTER_SECONDS_MAX, parse_retry_after
from arvo.interpreters.ports.messages import Delivery
from arvo.interpreters.worker.stats import Stats
from tests.interpreters.http.serving import client_of, serve
from tests.interpreters.within import within
from tests.shop import (
    CardCharged,
    ChargeCard,
    OrderState,
    PlaceOrder,
    charge_request,
    fulfil,
    make_workflow,
    order_request,
    payments,
    reply_to,
    shipping,
    shop,
)

Partner = Callable[[Request], Awaitable[Response]]


def fulfil_with_partner(turn: Turn[OrderState]) -> Commands:
    """Send payments to a domain."""
    match turn.event.data:
        case PlaceOrder(order_id=order_id, amount=amount):
            return Persist(OrderState(order_id)), Emit(ChargeCard(order_id, amount), domain="bank")
        case _:
            return fulfil(turn)


# A payment goes to the domain `bank`, and its reply comes back.
order_system = System([make_workflow(fulfil_with_partner, state=OrderState), shipping])
QUICK = Retry(attempts=3, delay=0.01)


class RecordsDelays:
    """A backend that records the delays of nacked deliveries."""

    def __init__(self) -> None:
        self.inner = MemoryBackend()
        self.delays: list[float] = []

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Redeliver after a shorter delay, because no test waits for an hour."""
        self.delays.append(delay)
        await self.inner.nack(delivery, min(delay, 0.01))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def order_from(
    partner: Partner, mode: Mode = "structured", url: str = "http://partner/"
) -> tuple[Stats, tuple[DeadLetter, ...], list[float]]:
    """Place an order with a partner for payments."""
    recorder = RecordsDelays()
    backend = cast("Backend", recorder)
    app = Starlette(routes=[Route("/", partner, methods=["POST", "GET"])])
    async with (
        client_of(app) as client,
        Runtime(order_system, backend, retry=QUICK) as runtime,
    ):
        runtime.on_domain("bank")(Webhook(runtime, client, url, mode))
        await runtime.send(order_request())
        stats = await runtime.drain(timeout=60)
        return stats, await runtime.dead_letters(), recorder.delays


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_an_event_in_the_response_is_sent_to_the_workflow(mode: Mode) -> None:
    """A partner replies in its response, and needs no URL of this system."""

    async def partner(request: Request) -> Response:
        [event] = read_events(request.headers.raw, await request.body())
        message = write_event(reply_to(event, CardCharged("r-1")), mode)
        return Response(message.body, 200, dict(message.headers))

    stats, dead_letters, _ = within(order_from(partner, mode))

    assert dead_letters == ()
    assert (stats.sent_out, stats.unclaimed) == (1, 1)


@pytest.mark.promise("I12")
@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("parentid", {"parentid": "another"}),
        ("subject", {"subject": "another"}),
        ("source", {"source": "com.x"}),
        ("dataschema", {"dataschema": "#/x/1.0.0"}),
    ],
)
def test_an_answer_to_another_event_is_refused(field: str, changes: dict[str, Any]) -> None:
    """I12: a partner that was asked for one order must not decide on another one."""

    async def partner(request: Request) -> Response:
        [event] = read_events(request.headers.raw, await request.body())
        message = write_event(evolve(reply_to(event, CardCharged("r-1")), **changes), "structured")
        return Response(message.body, 200, dict(message.headers))

    _, dead_letters, _ = within(order_from(partner))

    (dead_letter,) = dead_letters
    assert dead_letter.violation is not None
    assert field in [issue.path for issue in dead_letter.violation.issues]


def test_an_answer_that_comes_twice_is_dropped() -> None:
    """A process that dies after the response posts its event again."""

    async def partner(request: Request) -> Response:
        [event] = read_events(request.headers.raw, await request.body())
        answers = [reply_to(event, CardCharged("r"), key) for key in ("a1", "a2")]
        batch = b"[" + b",".join(answer.to_json().encode() for answer in answers) + b"]"
        headers = {"content-type": "application/cloudevents-batch+json"}
        return Response(batch, 200, headers)

    stats, dead_letters, _ = within(order_from(partner))

    assert (dead_letters, stats.sent_out) == ((), 1)


def test_two_systems_exchange_events_over_http() -> None:
    """The partner is another runtime, whose app waits for the answer to the event."""

    async def go() -> tuple[Any, int]:
        bank = Runtime(System([payments]))
        async with (
            serve(asgi_app(bank)) as url,
            httpx.AsyncClient(headers={"prefer": "wait=10"}) as client,
            Runtime(order_system) as runtime,
        ):
            runtime.on_domain("bank")(Webhook(runtime, client, url, "binary"))
            answer = await runtime.request(order_request(), timeout=60)
            return answer.raw, bank.stats().handled

    assert within(go()) == ({"tracking": "t-o1"}, 1)


def test_answers_are_posted_to_a_partner_that_did_not_wait_for_them() -> None:
    """It sent its event by HTTP, got 202, and has a URL for the answers to its address."""
    received: list[Any] = []

    async def partner(request: Request) -> Response:
        received.extend(read_events(request.headers.raw, await request.body()))
        return Response("", 503 if len(received) == 1 else 204)

    async def go() -> tuple[int, Stats]:
        app = Starlette(routes=[Route("/answers", partner, methods=["POST"])])
        async with (
            client_of(app) as outward,
            Runtime(System([payments]), retry=QUICK) as runtime,
            client_of(asgi_app(runtime)) as inward,
        ):
            runtime.on_address("com.shop.web")(Webhook(runtime, outward, "http://partner/answers"))
            message = write_event(charge_request(), "structured")
            response = await inward.post("/", content=message.body, headers=message.headers)
            return response.status_code, await runtime.drain(timeout=30)

    status, stats = within(go())

    assert status == 202
    assert [event.data for event in received] == [{"receipt": "r-o1"}] * 2
    assert len({event.id for event in received}) == 1
    assert (stats.answered, stats.retried, stats.unclaimed) == (1, 1, 0)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_transient_error_is_retried(status: int) -> None:
    """By the retry policy of the runtime, and not earlier than the partner asks for."""

    async def partner(_: Request) -> Response:
        return Response("busy", status, {"retry-after": "120"})

    _, [dead_letter], delays = within(order_from(partner))

    assert f"partner answered {status}" in dead_letter.reason
    assert dead_letter.attempts == 3
    assert delays == [120.0, 120.0]


@pytest.mark.parametrize("status", [400, 401, 404, 410, 415, 422])
def test_a_permanent_error_is_dead_lettered_at_once(status: int) -> None:
    """A retry would get the same response."""

    async def partner(_: Request) -> Response:
        return Response('{"detail": "no such account"}', status)

    _, [dead_letter], delays = within(order_from(partner))

    assert "status: expected 2xx, got" in dead_letter.reason
    assert f"{status} " in dead_letter.reason
    assert "no such account" in dead_letter.reason
    assert (dead_letter.attempts, delays) == (1, [])


def test_redirects_are_not_followed() -> None:
    """An event may hold data that only the partner at that URL may see."""
    paths: list[str] = []

    async def partner(request: Request) -> Response:
        paths.append(request.url.path)
        return RedirectResponse("http://other/", 307)

    _, [dead_letter], _ = within(order_from(partner))

    assert "307 Temporary Redirect" in dead_letter.reason
    assert paths == ["/"]


def test_an_unreachable_partner_is_retried() -> None:
    """The error does not contain its URL, which may hold a password."""

    async def go() -> tuple[DeadLetter, ...]:
        async with httpx.AsyncClient() as client, Runtime(order_system, retry=QUICK) as runtime:
            # No server listens on port 1.
            url = "http://user:secret@127.0.0.1:1/"
            runtime.on_domain("bank")(Webhook(runtime, client, url))
            await runtime.send(order_request())
            await runtime.drain(timeout=20)
            return await runtime.dead_letters()

    [dead_letter] = within(go())

    assert "127.0.0.1 cannot be reached" in dead_letter.reason
    assert dead_letter.attempts == 3
    assert "secret" not in dead_letter.reason


@pytest.mark.promise("I8")
def test_an_unreadable_response_is_dead_lettered() -> None:
    """I8: an operator sees what was received instead of an event."""

    async def partner(_: Request) -> Response:
        return Response("{}", 200, media_type="application/cloudevents+json")

    _, [dead_letter], _ = within(order_from(partner))

    assert "id: expected a value (required), got nothing" in dead_letter.reason


def test_a_response_that_is_too_large_is_not_read() -> None:
    """No response may fill the memory."""

    async def partner(_: Request) -> Response:
        large = b" " * (EVENT_BYTES_MAX + 1)
        return Response(large, 200, media_type="application/cloudevents+json")

    _, [dead_letter], _ = within(order_from(partner))

    assert "response: expected at most 1048576 bytes, got more" in dead_letter.reason


def test_a_response_without_an_event_settles_the_event() -> None:
    """Most receivers respond 200 with a body of their own."""

    async def partner(_: Request) -> Response:
        return Response('{"ok": true}', 200, media_type="application/json")

    stats, dead_letters, _ = within(order_from(partner))

    assert (stats.sent_out, dead_letters) == (1, ())


@pytest.mark.parametrize("url", ["", "ftp://partner/", "partner/", "http://", "https:///x"])
def test_a_bad_url_is_refused_when_the_webhook_is_made(url: str) -> None:
    """Not when the first event is posted, perhaps at night."""

    async def go() -> None:
        async with httpx.AsyncClient() as client:
            Webhook(Runtime(shop), client, url)

    with pytest.raises(Violated, match=r"url: expected http://host/… or https://host/…"):
        within(go())


def test_retry_after_is_a_number_of_seconds_or_a_date() -> None:
    """RFC 9110 §10.2.3; longer delays are cut to an hour."""

    def now() -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    assert parse_retry_after("Fri, 02 Jan 2026 03:04:35 GMT", now) == 30.0
    assert parse_retry_after("Fri, 02 Jan 2026 03:00:00 GMT", now) == 0.0
    assert parse_retry_after("Fri, 02 Jan 2099 03:00:00 GMT", now) == RETRY_AFTER_SECONDS_MAX
    assert parse_retry_after("²", now) == 0.0


@pytest.mark.parametrize("nulls", [True, False])
def test_a_webhook_writes_null_unless_its_receiver_refuses_it(nulls: bool) -> None:
    bodies: list[dict[str, Any]] = []

    async def partner(request: Request) -> Response:
        bodies.append(orjson.loads(await request.body()))
        return Response(status_code=202)

    async def go() -> None:
        app = Starlette(routes=[Route("/", partner, methods=["POST"])])
        async with client_of(app) as client, Runtime(order_system) as runtime:
            await Webhook(runtime, client, "http://app/", nulls=nulls)(charge_request())

    within(go())

    [body] = bodies
    assert ("accesscontrol" in body) is nulls
