"""Waiting: the requests that wait for an answer are bounded, also those of one client."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.authentication import SimpleUser
from starlette.types import ASGIApp, Receive, Scope, Send

from arvo import Resumable, Runtime, System
from arvo.http import asgi_app
from arvo.interpreters.http import events
from tests.interpreters.http.serving import post
from tests.interpreters.until import until
from tests.interpreters.within import within
from tests.ordered import ledger, open_ledger

# Its workflows end only after the test.
system = System([Resumable(ledger, {"1.0.0": lambda _: None})])


def client_at(app: ASGIApp, address: str, user: str | None = None) -> httpx.AsyncClient:
    """Make a client with an address, and a user that a middleware has authenticated."""

    async def authenticated(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "user": SimpleUser(user)} if user else scope, receive, send)

    transport = httpx.ASGITransport(authenticated, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://app")


@pytest.mark.parametrize(
    ("first", "second", "waits"),
    [
        (("10.0.0.1", None), ("10.0.0.1", None), False),
        (("10.0.0.1", None), ("10.0.0.2", None), True),
        (("10.0.0.1", "ann"), ("10.0.0.2", "ann"), False),
        (("10.0.0.1", "ann"), ("10.0.0.1", "bob"), True),
    ],
)
def test_the_waits_of_one_client_do_not_take_the_places_of_another(
    first: Any, second: Any, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its further requests are accepted without a wait; when one ends, its place is free."""
    monkeypatch.setattr(events, "WAITING_CLIENT_MAX", 1)

    async def go() -> tuple[bool, bool]:
        async with Runtime(system) as runtime:
            app = asgi_app(runtime)
            async with client_at(app, *first) as one, client_at(app, *second) as other:
                waiting = asyncio.create_task(post(one, open_ledger("a"), prefer="wait=60"))

                async def has_begun() -> bool:
                    return await runtime.record(open_ledger("a").subject) is not None

                await until(has_begun)
                response = await post(other, open_ledger("b"), prefer="wait=1")
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
                after = await post(one, open_ledger("c"), prefer="wait=1")
                assert {response.status_code, after.status_code} == {202}
                header = "preference-applied"
                return header in response.headers, header in after.headers

    assert within(go()) == (waits, True)
