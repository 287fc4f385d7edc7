"""Events: the endpoint that accepts events, alone or in a batch."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal, final

import orjson
from attrs import define, field
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from arvo.core.events.event import EVENT_BYTES_MAX, Event
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import Violated
from arvo.engine.system.handler import is_workflow
from arvo.interpreters.http.access import Access, caller_of
from arvo.interpreters.http.binding import (
    MEDIA_TYPES,
    Mode,
    content_type,
    is_from_arvo,
    parse_mode,
    read_events,
    write_event,
)
from arvo.interpreters.http.header import parse_wait
from arvo.interpreters.http.problem import (
    answer_problem,
    problem,
    too_many,
    unavailable_problem,
    violation_problem,
)
from arvo.interpreters.http.signature import Partner, Partners
from arvo.interpreters.http.workflow_json import to_path
from arvo.interpreters.ports.errors import Corrupt, NoReply, TooEarly, TooLarge, Unavailable
from arvo.interpreters.runtime.runtime import Runtime

# The longest time that a client has to send a body: 1 MiB takes so long at 35 kB a second. Without
# it a client that sends a byte now and then holds a connection for ever.
BODY_SECONDS_MAX: Final = 30.0
# Requests that wait for an answer at the same time. Others get 202 at once, as RFC 7240 allows.
WAITING_MAX: Final = 1_000
# Of these, requests of one client: a client that asks for many answers must not take all places.
WAITING_CLIENT_MAX: Final = 100
# Enough digits for any length that is too large.
_LENGTH_DIGITS_MAX: Final = 20


@final
@define(eq=False)
class Places:
    """The places of the requests of one endpoint that wait at the same time, by client."""

    _taken: Counter[str] = field(factory=Counter, init=False)

    def has_room(self, client: str) -> bool:
        """Return whether another request of a client may wait."""
        is_full = self._taken.total() >= WAITING_MAX
        return not is_full and self._taken[client] < WAITING_CLIENT_MAX

    @contextmanager
    def take(self, client: str) -> Iterator[None]:
        """Take a place for the time of a `with` block."""
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            # A client of which no request waits takes no memory.
            if not self._taken[client]:
                del self._taken[client]


@define(eq=False)
class EventsEndpoint:
    """Accepts events for a runtime, from *partners* only if there are any."""

    runtime: Runtime
    access: Access
    partners: Partners | None
    _places: Places = field(factory=Places, init=False)

    async def post_events(self, request: Request) -> Response:
        """Accept the events of a request: 202 with their subjects, or 200 with the answer."""
        headers = request.headers.raw
        mode = parse_mode(headers)
        if mode is None:
            return _unread(_unknown_content_type(content_type(headers)))
        body = await receive_body(request)
        if isinstance(body, Response):
            return body
        partner = identify_partner(self.partners, request, body)
        if isinstance(partner, Response):
            return partner
        try:
            events = read_events(headers, body)
        except Violated as violated:
            return violation_problem(violated.violation, 400)
        response = await guard(self.runtime, self._accept(request, mode, events))
        if partner is not None:
            partner.sign(response)
        return response

    async def _accept(
        self, request: Request, mode: Mode | Literal["batch"], events: list[Event[Any]]
    ) -> Response:
        if not self.runtime.is_working:
            return _not_running()
        # All are checked before the first is sent.
        for event in events:
            refusal = await self.access.check(caller_of(request), event)
            if refusal is not None:
                return refusal
        if mode == "batch":
            for event in events:
                await self.access.send(event)
            return json_response(202, [_identify(event) for event in events])
        [event] = events
        seconds = parse_wait(request.headers.getlist("prefer"))
        if self._may_wait(client_name(request), seconds, event):
            return await self._wait_for_answer(request, mode, event, seconds)
        await self.access.send(event)
        return self._accepted(request, event)

    async def _wait_for_answer(
        self, request: Request, mode: Mode, event: Event[Any], seconds: int
    ) -> Response:
        """Send an event and respond with its answer, or 202 after a timeout; the work goes on."""
        applied = {"preference-applied": f"wait={seconds}"}
        with self._places.take(client_name(request)):
            try:
                answer = await self.runtime.request(event, timeout=seconds)
            except (TimeoutError, NoReply):
                return self._accepted(request, event, applied)
            except Violated as violated:
                return answer_problem(violated)
        # A system error too, for it is an answer: with another status, proxies would repeat the
        # request, and clients would not read the body.
        message = write_event(answer, mode, nulls=is_from_arvo(request.headers.raw))
        return Response(message.body, 200, {**message.headers, **applied})

    def _may_wait(self, client: str, seconds: int, event: Event[Any]) -> bool:
        # A cancellation has no answer.
        if seconds <= 0 or self.access.is_cancellation(event):
            return False
        return self._places.has_room(client)

    def _accepted(
        self, request: Request, event: Event[Any], headers: dict[str, str] | None = None
    ) -> Response:
        headers = dict(headers or {})
        if is_workflow(self.runtime.system.handler_at(event.to)):
            root = request.scope.get("root_path", "")
            headers["location"] = f"{root}/workflows/{to_path(event.subject)}"
        return json_response(202, _identify(event), headers)


def identify_partner(
    partners: Partners | None, request: Request, body: bytes
) -> Partner | Response | None:
    """Make the partner who signed a request its user; return the refusal if none of them did."""
    if partners is None:
        return None
    partner = partners.identify(request.headers.raw, body)
    if isinstance(partner, Issue):
        return problem(401, "the request is not signed by a partner", (partner,))
    request.scope["user"] = partner.user
    return partner


def client_name(request: Request) -> str:
    """Return the user that an authentication middleware has set, or else the address of the peer.

    Behind a proxy that is the proxy, unless the server reads its headers (uvicorn does with
    `--proxy-headers`).
    """
    user = request.scope.get("user")
    if user is not None and user.is_authenticated:
        return f"user {user.display_name}"
    return "" if request.client is None else f"address {request.client.host}"


async def guard(runtime: Runtime, work: Awaitable[Response]) -> Response:
    """Return the response of *work*, or the one for the error that it raises."""
    try:
        return await work
    except TooEarly as error:
        return too_many(error.violation)
    except Violated as violated:
        # The runtime may have been stopped meanwhile.
        return violation_problem(violated.violation) if runtime.is_working else _not_running()
    except TooLarge as error:
        return _too_large("an event that the backend accepts", str(error))
    except Unavailable as error:
        return unavailable_problem(error)
    except Corrupt:
        # Without the reason, which may show stored data.
        return problem(500, "the data in the backend is damaged, tell an operator")


async def receive_body(request: Request) -> bytes | Response:
    """Read a body within `BODY_SECONDS_MAX`, or return the refusal."""
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            body = await _read_body(request)
    except ClientDisconnect:
        return problem(400, "the client disconnected before the end of the body")
    except TimeoutError:
        return _unread(_too_slow())
    if body is None:
        return _unread(_too_large(f"at most {EVENT_BYTES_MAX} bytes", "more"))
    return body


async def _read_body(request: Request) -> bytes | None:
    """Read a body; None if it is too large, without reading the rest.

    Starlette has a limit of its own, but responds with plain text.
    """
    length = request.headers.get("content-length", "")
    is_number = length.isascii() and length.isdigit()
    if is_number and int(length[:_LENGTH_DIGITS_MAX]) > EVENT_BYTES_MAX:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > EVENT_BYTES_MAX:
            return None
    return bytes(body)


def json_response(status: int, content: object, headers: dict[str, str] | None = None) -> Response:
    """Make a response with a JSON body."""
    return Response(orjson.dumps(content), status, headers, "application/json")


def _identify(event: Event[Any]) -> dict[str, str]:
    return {"id": event.id, "subject": event.subject}


def _not_running() -> Response:
    return problem(503, "the runtime has not started yet, or is stopped")


def _too_large(expected: str, got: str) -> Response:
    return problem(413, "the request is too large", (Issue("body", expected, got),))


def _too_slow() -> Response:
    issue = Issue("body", f"within {BODY_SECONDS_MAX:g} s", "a part of it")
    return problem(408, "the request took too long", (issue,))


def _unread(response: Response) -> Response:
    """Ask the server to close the connection: the rest of the body may be endless."""
    response.headers["connection"] = "close"
    return response


def _unknown_content_type(text: str) -> Response:
    known = ", ".join(MEDIA_TYPES)
    issue = Issue("Content-Type", f"one of {known}", short_repr(text))
    return problem(415, "this content type is not supported", (issue,), {"accept": known})
