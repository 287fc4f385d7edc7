"""MCP: the command that serves a system to clients of the Model Context Protocol."""

import asyncio
import os
import socket
import sys
from collections.abc import Coroutine, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from arvo.cli.process.listen import listen, require_loopback
from arvo.cli.terminal.errors import UsageError, format_error, naming_extra
from arvo.cli.terminal.load import SystemName, Url, load_runtime
from arvo.cli.terminal.output import TEXT, Output, print_status
from arvo.core.events.event import Event
from arvo.core.violations.violation import Violated
from arvo.interpreters.runtime.runtime import Runtime
from arvo.interpreters.runtime.signals import on_interrupt

# The variable that holds the secrets which seal ids, separated by commas.
KEYS_VARIABLE: Final = "ARVO_MCP_KEYS"
CALL_SECONDS: Final = 20.0
# A server may be a container that starts first.
PIN_SECONDS: Final = 120.0
# Calls that run at the same time.
CONNECTIONS_MAX: Final = 256

mcp_app: Final = App(name="mcp", help="Serve a system to clients of the Model Context Protocol.")


@mcp_app.command
async def serve(
    system: SystemName,
    /,
    *,
    backend: Url,
    listen_on: Annotated[str | None, Parameter("--listen")] = None,
    contract: tuple[str, ...] = (),
    domain: tuple[str, ...] = (),
    timeout: float = CALL_SECONDS,
) -> None:
    """Serve the contracts of a system as tools, and its workflows as tasks, and work on them.

    Over the standard input and output, for a client that starts this command; or over HTTP with
    --listen. ARVO_MCP_KEYS holds the secrets that seal the ids of workflows, of at least 32 bytes
    each, separated by commas; by default one that follows from the URL of the backend.

    Parameters
    ----------
    listen_on
        HOST:PORT of this machine, where /mcp answers over HTTP.
    contract
        The uri of a contract that is a tool; give it once for each. By default all are.
    domain
        A domain of which no other process has a listener: its questions wait for a person at a
        client.
    timeout
        Seconds after which a client has to call again for the outcome of a workflow.
    """
    runtime = load_runtime(system, backend)
    with naming_extra("arvo mcp"):
        from arvo.mcp import mcp_app as make_app
        from arvo.mcp import mcp_server, serve_stdio
    for name in domain:
        runtime.on_domain(name)(_leave_open)
    server = mcp_server(runtime, contracts=contract or None, keys=_keys(backend), timeout=timeout)
    if listen_on is None:
        await _serve_stdio(runtime, serve_stdio(server))
        return
    with listen(listen_on, "--listen") as listening:
        remedy = ", or mount arvo.mcp.mcp_app with a token verifier in an application"
        require_loopback(listening, listen_on, remedy)
        print_status(f"MCP on http://{_address(listening)}/mcp")
        await _serve_http(make_app(server, runtime), listening)


@mcp_app.command
async def pin(
    file: Path,
    /,
    *target: Annotated[str, Parameter(allow_leading_hyphen=True)],
    server: str | None = None,
    check: Annotated[bool, Parameter(negative="")] = False,
    output: Output = TEXT,
) -> int:
    """Write the tools that an MCP server lists to a file, for the tools of an agent.

    TARGET is the URL of the server, or the command that starts it. Prints what is added, removed
    or changed since the file was written; review it like code, as a model reads it.

    Parameters
    ----------
    server
        The name of the server in contracts, such as weather; by default that in the file, or the
        one that the server gives itself.
    check
        Change nothing; exit with 1 if the server lists something else than the file has.
    """
    if not target:
        raise UsageError("TARGET: expected the URL of an MCP server, or the command of one")
    changes = await _pin(target, file, server, check)
    for change in changes:
        output.show({"change": change}, change)
    return 1 if check and changes else 0


async def _pin(
    target: Sequence[str], file: Path, server: str | None, check: bool
) -> tuple[str, ...]:
    """Pin the tools at a URL, or of a command; raises `UsageError` if there is no server."""
    with naming_extra("arvo mcp"):
        from mcp.client.client import Client
        from mcp.client.stdio import StdioServerParameters

        from arvo.mcp import pin as pin_tools
    command, *arguments = target
    is_url = command.startswith(("http://", "https://"))
    place = command if is_url else StdioServerParameters(command=command, args=arguments)
    try:
        async with asyncio.timeout(PIN_SECONDS), Client(place) as client:
            return await pin_tools(client, file, server=server, check=check)
    except (TimeoutError, OSError, ExceptionGroup) as error:
        cause = _first(error)
        if isinstance(cause, Violated):
            raise cause from error
        raise UsageError(f"{command} lists no tools: {format_error(cause)}") from error


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _keys(backend: str) -> list[str]:
    given = [key.strip() for key in os.environ.get(KEYS_VARIABLE, "").split(",") if key.strip()]
    if given:
        return given
    if backend.startswith("memory:"):
        return []
    # Who knows the URL of the backend may do everything to it in any case.
    return [sha256(b"arvo mcp " + backend.encode()).hexdigest()]


async def _leave_open(event: Event[Any]) -> None:
    """Take a question, which waits for a person at a client."""
    del event


async def _serve_stdio(runtime: Runtime, serving: Coroutine[Any, Any, None]) -> None:
    """Run a runtime until the client closes the input, or a signal ends the process."""
    interrupted = asyncio.Event()
    with on_interrupt(interrupted.set):
        async with runtime:
            waiting = asyncio.create_task(interrupted.wait())
            task = asyncio.create_task(serving)
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        if not task.done():
            # A thread waits for the input, and nothing else than the client ends that.
            sys.stderr.flush()
            os._exit(0)
    await task


async def _serve_http(app: Any, listening: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=1,
        proxy_headers=False,
    )
    await uvicorn.Server(config).serve(sockets=[listening])


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
