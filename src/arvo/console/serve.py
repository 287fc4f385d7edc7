"""Serve: the console on a port of its own."""

import socket
from ipaddress import ip_address
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from arvo.console.access import act, proxy_user, read_only, scope_user
from arvo.console.app import console
from arvo.console.security import OnlyHosts
from arvo.interpreters.runtime.client import Client

# A browser opens up to six connections, and each open page holds one for its news.
CONNECTIONS_MAX: Final = 256


async def serve(
    client: Client,
    listening: socket.socket,
    *,
    backend: str,
    may_act: bool,
    trust_proxy: bool,
    label: str,
) -> None:
    """Serve the console on a socket until a signal stops the process.

    *may_act*: whether everyone who reaches it may act. *trust_proxy*: whether a proxy in front
    names the user of each request; without one only requests for this machine are answered.
    *backend*, *label*: see `console`.
    """
    app: ASGIApp = console(
        client,
        user=proxy_user if trust_proxy else scope_user,
        allow=act if may_act else read_only,
        backend=backend,
        label=label,
    )
    config = uvicorn.Config(
        app if trust_proxy else OnlyHosts(app),
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=1,
        proxy_headers=False,
    )
    await uvicorn.Server(config).serve(sockets=[listening])


def is_loopback(listening: socket.socket) -> bool:
    """Return whether only this machine reaches a socket."""
    return ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback
