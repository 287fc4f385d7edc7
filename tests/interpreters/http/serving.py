"""Serving: an app with a client, in this process or on a port of its own."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx
import uvicorn
from starlette.types import ASGIApp

from arvo import Event, Runtime, System
from arvo.http import asgi_app
from arvo.interpreters.http.binding import Mode, write_event
from tests.interpreters.within import within

T = TypeVar("T")


def with_client(
    system: System,
    use: Callable[[httpx.AsyncClient, Runtime], Awaitable[T]],
    backend: str = "memory:",
) -> T:
    """Use a client of a running system."""

    async def go() -> T:
        async with Runtime(system, backend) as runtime, client_of(asgi_app(runtime)) as client:
            return await use(client, runtime)

    return within(go())


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    """Make a client for an app in this process."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app")


async def post(
    client: httpx.AsyncClient,
    event: Event[Any],
    mode: Mode = "structured",
    **headers: str,
) -> httpx.Response:
    """Post an event."""
    message = write_event(event, mode)
    return await client.post("/", content=message.body, headers={**message.headers, **headers})


@asynccontextmanager
async def serve(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an app with uvicorn on a free port; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, log_level="critical")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            while not server.started:
                assert not serving.done()
                await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
