"""Health: the HTTP port that reports the state of the workers. Needs the `http` extra."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette

from arvo.cli.process.supervisor import Supervisor
from arvo.cli.terminal.output import print_status
from arvo.interpreters.http.probes import Health, probes

# Probes come one at a time; more connections than this are a fault or an attack.
CONNECTIONS_MAX: Final = 64


@asynccontextmanager
async def serve_health(supervisor: Supervisor, listening: socket.socket) -> AsyncIterator[None]:
    """Serve `/live` and `/ready` with the state of each worker while the context is open.

    Live means that the supervisor responds: it restarts its workers itself. Ready means that every
    worker is ready.
    """

    async def live() -> Health:
        return Health(is_ok=True, details={"workers": _workers(supervisor)})

    async def ready() -> Health:
        return Health(is_ok=supervisor.is_ready, details={"workers": _workers(supervisor)})

    config = uvicorn.Config(
        Starlette(routes=probes(live, ready)),
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    print_status(f"health on port {listening.getsockname()[1]}")
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The supervisor handles signals: its workers have to finish first.
        yield


def _workers(supervisor: Supervisor) -> list[dict[str, Any]]:
    now = asyncio.get_running_loop().time()
    return [
        {
            "worker": number,
            "process": heartbeat.process,
            "starts": heartbeat.starts,
            "alive": heartbeat.is_alive(now),
            "ready": heartbeat.is_ready(now),
        }
        for number, heartbeat in supervisor.heartbeats.items()
    ]
