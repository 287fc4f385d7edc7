"""Webhook: a listener that posts events to a URL."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import pytest
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
from arvo.interpreters.http.binding import Mode, read, write
from arvo.interpreters.http.webhook import RETRY_AFTER_SECONDS_MAX, retry_after
from arvo.interpreters.ports.backend import Delivery
from arvo.interpreters.runtime.stats import Stats
from tests.interpreters.http.serving import client_of, served
from tests.interpreters.within import within
from tests.shop import (
    CardCharged,
    ChargeCard,
    OrderState,
    PlaceOrder,
    answering,
    fulfil,
    payments,
    placing,
    shipping,
    shop,
    workflow,
)

Partner = Callable[[Request], Awaitable[Response]]


def outside(turn: Turn[OrderState]) -> Commands:
    """Let payments be made by a partner outside."""
    match turn.event.data:
        case PlaceOrder(order_id=order_id, amount=amount):
            return Persist(OrderState(order_id)), Emit(ChargeCard(order_id, amount), domain="bank")
        case _:
            return fulfil(turn)


# A payment leaves by the domain `bank`, and its answer comes back.
ordering = System([workflow(outside, state=OrderState), shipping])
QUICK = Retry(attempts=3, delay=0.01)


class Watched:
    """A backend that remembers how long deliveries were put off."""

    def __init__(self) -> None:
        self.inner = MemoryBackend()
        self.delays: list[float] = []

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Put off, but not that long: no test waits for an hour."""
        self.delays.append(delay)
        await self.inner.nack(delivery, min(delay, 0.01))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def carried(
    partner: Partner, mode: Mode = "structured", url: str = "http://edge/"
) -> tuple[Stats, tuple[DeadLetter, ...], list[float]]:
    """Place an order whose payment is asked of a partner."""
    watched = Watched()
    backend = cast("Backend", watched)
    app = Starlette(routes=[Route("/", partner, methods=["POST", "GET"])])
    async with (
        client_of(app) as client,
        Runtime(ordering, backend, retry=QUICK) as runtime,
    ):
        runtime.on_domain("bank")(Webhook(runtime, client, url, mode))
        await runtime.send(placing())
        stats = await runtime.drain(timeout=10)
        return stats, await runtime.dead_letters(), watched.delays


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_what_comes_back_goes_on_in_the_workflow(mode: Mode) -> None:
    """A partner answers in its response, and need not know where we are."""

    async def partner(request: Request) -> Response:
        [event] = read(request.headers.raw, await request.body())
        message = write(answering(event, CardCharged("r-1")), mode)
        return Response(message.body, 200, dict(message.headers))

    stats, dead_letters, _ = within(carried(partner, mode))

    assert dead_letters == ()
    assert (stats.sent_out, stats.answered) == (1, 1)


def test_two_systems_talk_through_an_edge() -> None:
    """The other side is a runtime of its own: the answer to our event is waited for there."""

    async def go() -> tuple[Any, int]:
        bank = Runtime(System([payments]))
        async with (
            served(asgi_app(bank)) as url,
            httpx.AsyncClient(headers={"prefer": "wait=10"}) as client,
            Runtime(ordering) as runtime,
        ):
            runtime.on_domain("bank")(Webhook(runtime, client, url, "binary"))
            answer = await runtime.request(placing(), timeout=10)
            return answer.raw, bank.stats().handled

    assert within(go()) == ({"tracking": "t-o1"}, 1)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_what_may_pass_is_tried_again(status: int) -> None:
    """By the runtime's retry policy, and not before the other side says."""

    async def partner(_: Request) -> Response:
        return Response("busy", status, {"retry-after": "120"})

    _, [dead_letter], delays = within(carried(partner))

    assert f"edge answered {status}" in dead_letter.reason
    assert dead_letter.attempts == 3
    assert delays == [120.0, 120.0]


@pytest.mark.parametrize("status", [400, 401, 404, 410, 415, 422])
def test_what_will_not_pass_is_a_dead_letter_at_once(status: int) -> None:
    """Asking again would only be answered again."""

    async def partner(_: Request) -> Response:
        return Response('{"detail": "no such account"}', status)

    _, [dead_letter], delays = within(carried(partner))

    assert "status: expected 2xx, got" in dead_letter.reason
    assert f"{status} " in dead_letter.reason
    assert "no such account" in dead_letter.reason
    assert (dead_letter.attempts, delays) == (1, [])


def test_nobody_is_sent_elsewhere() -> None:
    """An event may hold what is for the one at that URL alone."""
    asked: list[str] = []

    async def partner(request: Request) -> Response:
        asked.append(request.url.path)
        return RedirectResponse("http://other/", 307)

    _, [dead_letter], _ = within(carried(partner))

    assert "307 Temporary Redirect" in dead_letter.reason
    assert asked == ["/"]


def test_a_partner_that_cannot_be_reached_is_tried_again() -> None:
    """And its URL, which may hold a password, stands nowhere."""

    async def go() -> tuple[DeadLetter, ...]:
        async with httpx.AsyncClient() as client, Runtime(ordering, retry=QUICK) as runtime:
            # Nobody listens on port 1.
            url = "http://user:secret@127.0.0.1:1/"
            runtime.on_domain("bank")(Webhook(runtime, client, url))
            await runtime.send(placing())
            await runtime.drain(timeout=20)
            return await runtime.dead_letters()

    [dead_letter] = within(go())

    assert "127.0.0.1 cannot be reached" in dead_letter.reason
    assert dead_letter.attempts == 3
    assert "secret" not in dead_letter.reason


def test_an_answer_that_cannot_be_read_is_not_dropped() -> None:
    """I8: an operator sees what came in place of an event."""

    async def partner(_: Request) -> Response:
        return Response("{}", 200, media_type="application/cloudevents+json")

    _, [dead_letter], _ = within(carried(partner))

    assert "id: expected a value (required), got nothing" in dead_letter.reason


def test_an_answer_that_is_too_large_is_not_read() -> None:
    """Memory is bounded, whatever the other side sends."""

    async def partner(_: Request) -> Response:
        large = b" " * (EVENT_BYTES_MAX + 1)
        return Response(large, 200, media_type="application/cloudevents+json")

    _, [dead_letter], _ = within(carried(partner))

    assert "response: expected at most 1048576 bytes, got more" in dead_letter.reason


def test_an_answer_that_holds_no_event_is_just_a_receipt() -> None:
    """Most receivers say 200 and something of their own."""

    async def partner(_: Request) -> Response:
        return Response('{"ok": true}', 200, media_type="application/json")

    stats, dead_letters, _ = within(carried(partner))

    assert (stats.sent_out, dead_letters) == (1, ())


@pytest.mark.parametrize("url", ["", "ftp://edge/", "edge/", "http://", "https:///x"])
def test_a_url_that_nothing_can_be_posted_to_is_refused_when_it_is_named(url: str) -> None:
    """Not by the first event that leaves, at night."""

    async def go() -> None:
        async with httpx.AsyncClient() as client:
            Webhook(Runtime(shop), client, url)

    with pytest.raises(Violated, match=r"url: expected http://host/… or https://host/…"):
        within(go())


def test_when_to_come_back_is_said_in_seconds_or_as_a_date() -> None:
    """RFC 9110 §10.2.3; no longer than an hour, whatever is asked."""

    def now() -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    assert retry_after("Fri, 02 Jan 2026 03:04:35 GMT", now) == 30.0
    assert retry_after("Fri, 02 Jan 2026 03:00:00 GMT", now) == 0.0
    assert retry_after("Fri, 02 Jan 2099 03:00:00 GMT", now) == RETRY_AFTER_SECONDS_MAX
    assert retry_after("²", now) == 0.0
