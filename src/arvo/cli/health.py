"""Health: a port at which a crew says how its workers are. Needs the extra `arvo[http]`."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette

from arvo.cli.errors import Mistake, line_of
from arvo.cli.output import tell
from arvo.cli.supervisor import Crew
from arvo.interpreters.http.probes import Health, probes

# Probes come one at a time; whoever opens more has something else in mind.
CONNECTIONS_MAX: Final = 64
_PORT_MAX: Final = 65_535


def listen(address: str) -> socket.socket:
    """Open a port, HOST:PORT or :PORT for all of this machine's addresses, 0 for any that is free.

    Raises `Mistake` where that cannot be.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > _PORT_MAX:
        raise Mistake(f"--health: expected HOST:PORT or :PORT, got {address!r}")
    host = host.removeprefix("[").removesuffix("]")
    both = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, dualstack_ipv6=both)
    except OSError as error:
        raise Mistake(f"--health: {address} cannot be listened on: {line_of(error)}") from error


@asynccontextmanager
async def answering(crew: Crew, listening: socket.socket) -> AsyncIterator[None]:
    """Answer `/live` and `/ready` with the state of each worker.

    Live is a supervisor that answers, for it mends its workers by itself; ready, one whose workers
    all are.
    """

    async def live() -> Health:
        return Health(well=True, said={"workers": _workers(crew)})

    async def ready() -> Health:
        return Health(well=crew.is_ready, said={"workers": _workers(crew)})

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
    tell(f"health on port {listening.getsockname()[1]}")
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Those are the crew's, whose workers still have to finish.
        yield


def _workers(crew: Crew) -> list[dict[str, Any]]:
    now = asyncio.get_running_loop().time()
    return [
        {
            "worker": number,
            "process": pulse.process,
            "starts": pulse.starts,
            "alive": pulse.is_alive(now),
            "ready": pulse.is_ready(now),
        }
        for number, pulse in crew.pulses.items()
    ]
