"""Probes: the two questions that whoever runs a process asks it, `/live` and `/ready`."""

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
    """Whether all is *well*, and what there is to *say* of it, as JSON."""

    well: bool
    said: Mapping[str, Any]


Asking: TypeAlias = Callable[[], Awaitable[Health]]


def probes(live: Asking, ready: Asking) -> list[Route]:
    """Answer `/live` and `/ready`: 200 where all is well, 503 where it is not."""
    return [Route("/live", _answering("live", live)), Route("/ready", _answering("ready", ready))]


def _answering(word: str, ask: Asking) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
        health = await ask()
        content = orjson.dumps({word: health.well, **health.said})
        return Response(content, 200 if health.well else 503, NO_STORE, "application/json")

    return answer
