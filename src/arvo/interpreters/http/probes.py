"""Probes: the endpoints `/live` and `/ready` for orchestrators such as Kubernetes."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias, final

import orjson
from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

NO_STORE: Final = {"cache-control": "no-store"}


@final
@frozen
class Health:
    """The result of a probe, and its *details* as JSON."""

    is_ok: bool
    details: Mapping[str, Any]


Probe: TypeAlias = Callable[[], Awaitable[Health]]


def probes(live: Probe, ready: Probe) -> list[Route]:
    """Make the routes `/live` and `/ready`: they respond 200 if the probe is ok, otherwise 503."""
    return [Route("/live", _endpoint("live", live)), Route("/ready", _endpoint("ready", ready))]


def _endpoint(name: str, probe: Probe) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
        health = await probe()
        content = orjson.dumps({name: health.is_ok, **health.details})
        return Response(content, 200 if health.is_ok else 503, NO_STORE, "application/json")

    return respond
