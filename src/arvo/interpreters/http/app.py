"""Edge: a runtime as an ASGI app that takes events over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import orjson
from attrs import define, field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from arvo.core.events.event import EVENT_BYTES_MAX, Event
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import Violated
from arvo.engine.step.validate import vet
from arvo.handlers.event_handler import EventHandler
from arvo.interpreters.http.binding import (
    MEDIA_TYPES,
    Mode,
    content_type,
    mode_of,
    read,
    write,
)
from arvo.interpreters.http.prefer import wait_of
from arvo.interpreters.http.probes import NO_STORE, Health, probes
from arvo.interpreters.http.problem import broken, problem, unavailable
from arvo.interpreters.http.workflow_json import as_json, in_path, out_of_path
from arvo.interpreters.ports.backend import Corrupt, NoReply, TooLarge, Unavailable
from arvo.interpreters.runtime.runtime import Runtime

# How long a client waits for room in a full queue, or for a store that is slow.
TAKE_SECONDS_MAX: Final = 10.0
# Clients that wait for answers at a time; to others the subject is told at once, as RFC 7240 lets.
WAITING_MAX: Final = 1_000
# A probe that anybody may ask shall not keep the backend busy.
REACHED_SECONDS: Final = 1.0


def asgi_app(runtime: Runtime) -> Starlette:
    """Make an ASGI app that takes events for a runtime (CloudEvents HTTP binding 1.0.2).

    As the root app its lifespan starts the runtime and stops it. Mounted in another app, whose
    lifespan alone is run, it serves a runtime that you have started there; until you have, it
    answers 503. It asks nobody who they are: that is for middleware around it.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001 - Starlette's signature
        if runtime.is_working:
            yield
            return
        async with runtime:
            yield

    made = _Edge(runtime)
    return Starlette(
        routes=[
            Route("/", made.take, methods=["POST"]),
            # A path, for a subject may be written with the slashes of base64.
            Route("/workflows/{subject:path}", made.show, methods=["GET"]),
            *probes(made.live, made.ready),
        ],
        exception_handlers={HTTPException: _no_such_thing, Exception: _bug},
        lifespan=lifespan,
    )


@define(eq=False)
class _Edge:
    runtime: Runtime
    _waiting: int = field(default=0, init=False)
    _reached: "asyncio.Task[bool] | None" = field(default=None, init=False)
    _reached_at: float = field(default=0.0, init=False)

    async def take(self, request: Request) -> Response:
        """Take the events of a request: 202 with their subjects, or 200 with the answer."""
        headers = request.headers.raw
        mode = mode_of(headers)
        if mode is None:
            return _unknown(content_type(headers))
        try:
            body = await _body(request)
        except ClientDisconnect:
            return problem(400, "the request ended before its body")
        if body is None:
            size = Issue("body", f"at most {EVENT_BYTES_MAX} bytes", "more")
            return problem(413, "this is too large", (size,))
        try:
            events = read(headers, body)
        except Violated as violated:
            return broken(violated.violation, 400)
        try:
            return await self._taken(request, mode, events)
        except Violated as violated:
            # It may have been told to stop while this was looked at.
            return broken(violated.violation) if self.runtime.is_working else _resting()
        except TooLarge as error:
            size = Issue("body", "an event that the backend takes", str(error))
            return problem(413, "this is too large", (size,))
        except Unavailable as error:
            return unavailable(error)
        except Corrupt:
            # What it holds is nothing for strangers.
            return problem(500, "the backend is damaged: a person must look at it")

    async def _taken(
        self, request: Request, mode: Mode | Literal["batch"], events: list[Event[Any]]
    ) -> Response:
        if not self.runtime.is_working:
            return _resting()
        # All are looked at before any is sent.
        for event in events:
            refusal = await self._refusal(event)
            if refusal is not None:
                return refusal
        if mode == "batch":
            for event in events:
                await self._send(event)
            return _json(202, [_name(event) for event in events])
        [event] = events
        wait = wait_of(request.headers.getlist("prefer"))
        if wait and self._waiting < WAITING_MAX:
            return await self._answered(request, mode, event, wait)
        await self._send(event)
        return self._accepted(request, event)

    async def _refusal(self, event: Event[Any]) -> Response | None:
        """Refuse what nobody here takes, or what breaks its contract."""
        system = self.runtime.system
        self.runtime.check(event)
        handler = system.handler_at(event.to)
        begins = isinstance(handler, EventHandler) or event.type == event.to
        record = None if begins else await self.runtime.record(event.subject)
        violation = vet(system, event, record)
        return None if violation is None else broken(violation, 400)

    async def _send(self, event: Event[Any]) -> None:
        try:
            async with asyncio.timeout(TAKE_SECONDS_MAX):
                await self.runtime.send(event)
        except TimeoutError:
            said = f"event {event.id!r} was not taken within {TAKE_SECONDS_MAX:g} s"
            raise Unavailable(said) from None

    async def _answered(
        self, request: Request, mode: Mode, event: Event[Any], wait: int
    ) -> Response:
        """Wait for the answer; when that takes too long, the work goes on."""
        applied = {"preference-applied": f"wait={wait}"}
        self._waiting += 1
        try:
            answer = await self.runtime.request(event, timeout=wait)
        except (TimeoutError, NoReply):
            return self._accepted(request, event, applied)
        finally:
            self._waiting -= 1
        # A system error as well: it was carried to whoever asked. Any other status would have
        # intermediaries send the event again, and readers not look into the body.
        message = write(answer, mode)
        return Response(message.body, 200, {**message.headers, **applied})

    def _accepted(
        self, request: Request, event: Event[Any], headers: dict[str, str] | None = None
    ) -> Response:
        headers = dict(headers or {})
        if not isinstance(self.runtime.system.handler_at(event.to), EventHandler):
            root = request.scope.get("root_path", "")
            headers["location"] = f"{root}/workflows/{in_path(event.subject)}"
        return _json(202, _name(event), headers)

    async def show(self, request: Request) -> Response:
        """Say how a workflow stands."""
        subject = out_of_path(request.path_params["subject"])
        try:
            if subject is None or await self.runtime.record(subject) is None:
                return problem(404, "nothing is remembered of this subject")
            return _json(200, as_json(await self.runtime.describe(subject)), NO_STORE)
        except Violated as violated:
            return broken(violated.violation, 404)
        except Unavailable as error:
            return unavailable(error)

    async def live(self) -> Health:
        """Say that the event loop turns: that this is answered is the answer."""
        return Health(well=True, said={})

    async def ready(self) -> Health:
        """Say whether events are taken: the runtime works and reaches its backend."""
        working = self.runtime.is_working
        reached = working and await self._reach()
        return Health(well=reached, said={"runtime": working, "backend": reached})

    async def _reach(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._reached is None or now - self._reached_at > REACHED_SECONDS:
            self._reached_at = now
            self._reached = asyncio.create_task(self.runtime.is_reachable())
        # One question for all who ask meanwhile, and one who goes away does not end it.
        return await asyncio.shield(self._reached)


async def _body(request: Request) -> bytes | None:
    """Read a body; None for one that is too large, of which no more is read than says so.

    Not by Starlette's own limit, which answers in plain text.
    """
    said = request.headers.get("content-length", "")
    if said.isascii() and said.isdigit() and int(said[:20]) > EVENT_BYTES_MAX:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > EVENT_BYTES_MAX:
            return None
    return bytes(body)


def _name(event: Event[Any]) -> dict[str, str]:
    return {"id": event.id, "subject": event.subject}


def _json(status: int, content: object, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, "application/json")


def _resting() -> Response:
    return problem(503, "the runtime is not running (yet, or any more)")


def _unknown(said: str) -> Response:
    known = ", ".join(MEDIA_TYPES)
    issue = Issue("Content-Type", f"one of {known}", short(said))
    return problem(415, "this is no event that can be read", (issue,), {"accept": known})


async def _no_such_thing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = f"{request.method} {request.url.path}: {error.detail}"
    return problem(error.status_code, short(said), headers=error.headers or {})


async def _bug(request: Request, error: Exception) -> Response:  # noqa: ARG001 - its signature
    # The server logs it; strangers are told nothing of it (B37).
    return problem(500, "this was not foreseen")
