"""App: an MCP server over HTTP, and over the standard input and output."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp.server.auth.provider import TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from starlette.applications import Starlette

from arvo.interpreters.runtime.runtime import Runtime


def mcp_app(
    server: "Server[Any]",
    runtime: Runtime,
    *,
    path: str = "/mcp",
    host: str = "127.0.0.1",
    auth: AuthSettings | None = None,
    token_verifier: TokenVerifier | None = None,
) -> Starlette:
    """Make an ASGI app of a server (Streamable HTTP). Its lifespan starts and stops the runtime.

    *auth*, *token_verifier*: who the callers are, as the MCP SDK defines it (OAuth 2.1 resource
    server); without them every caller is the same. *host*: where the app listens. At a loopback
    address only pages and clients of this machine are answered.
    """
    app = server.streamable_http_app(
        streamable_http_path=path, host=host, auth=auth, token_verifier=token_verifier
    )
    sessions = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if runtime.is_working:
            async with sessions(app):
                yield
            return
        async with runtime, sessions(app):
            yield

    app.router.lifespan_context = lifespan
    return app


async def serve_stdio(server: "Server[Any]") -> None:
    """Serve one client over the standard input and output, until it closes them."""
    async with stdio_server() as (reader, writer):
        await server.run(reader, writer, server.create_initialization_options())
