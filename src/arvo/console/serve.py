"""Serve: the console on a port of its own."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from arvo.console.app import console, extended_console
from arvo.console.extension import Extension
from arvo.console.requests.access import act, proxy_user, read_only, scope_user
from arvo.console.requests.security import OnlyHosts
from arvo.interpreters.runtime.client import Client

# A browser opens up to six connections, and each open page holds one for its news.
CONNECTIONS_MAX: Final = 256


async def serve(  # noqa: PLR0913 - those of `console`
    client: Client,
    listening: socket.socket,
    *,
    backend: str,
    may_act: bool,
    trust_proxy: bool,
    label: str,
    trace_url: str,
) -> None:
    """Serve the console on a socket until a signal stops the process.

    *may_act*: whether everyone who reaches it may act. *trust_proxy*: whether a proxy in front
    names the user of each request; without one only requests for this machine are answered.
    *backend*, *label*, *trace_url*: see `console`.
    """
    app: ASGIApp = console(
        client,
        user=proxy_user if trust_proxy else scope_user,
        allow=act if may_act else read_only,
        backend=backend,
        label=label,
        trace_url=trace_url,
    )
    config = _config(app if trust_proxy else OnlyHosts(app), "warning", stop_seconds=1)
    await uvicorn.Server(config).serve(sockets=[listening])


@asynccontextmanager
async def serving(
    client: Client, listening: socket.socket, *, backend: str, extension: Extension
) -> AsyncIterator[None]:
    """Serve the console of `arvo dev` on a socket while the context is open.

    Everyone on this machine may act. Signals are left to the caller, and the socket stays open.
    """
    app = extended_console(client, scope_user, act, backend, "dev", extension)
    # An open page holds a connection for its news, which is ended at once; that is no error.
    server = _Server(_config(OnlyHosts(app), "critical", stop_seconds=0))
    task = asyncio.create_task(server.serve(sockets=[listening.dup()]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


def _config(app: ASGIApp, log_level: str, *, stop_seconds: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        log_level=log_level,
        access_log=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=stop_seconds,
        proxy_headers=False,
    )


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The caller handles signals: its workers have to finish first.
        yield
