"""Workflows: the endpoints for clients without this library: begin, signal, wait, watch.

They speak plain JSON. A client names a workflow by the id that it chose, and never sees an event.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from http import HTTPStatus
from typing import Any, Final

from attrs import define, field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from arvo.core.contracts.check import ORCHESTRATOR_PREFIX
from arvo.core.events.event import Event
from arvo.core.events.subject import Subject, workflow_id_of
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import (
    ConfigViolation,
    Violated,
)
from arvo.engine.step.doors import find_id_conflict
from arvo.engine.system.handler import WorkflowHandler, is_workflow
from arvo.engine.system.schemas import Schemas
from arvo.interpreters.http.access import Access, Verb, caller_of, unknown_workflow
from arvo.interpreters.http.events import (
    Places,
    client_name,
    guard,
    identify_partner,
    json_response,
    receive_body,
)
from arvo.interpreters.http.header import parse_wait
from arvo.interpreters.http.json_body import (
    faults_of_client,
    parse_body,
    read_text,
    refuse_other_type,
)
from arvo.interpreters.http.probes import NO_STORE
from arvo.interpreters.http.problem import (
    RETRY_AFTER_SECONDS,
    answer_problem,
    problem,
    violation_problem,
)
from arvo.interpreters.http.signature import Partners
from arvo.interpreters.http.watching.stream import NO_REPORTS, write_item
from arvo.interpreters.http.workflow_json import from_path, to_path
from arvo.interpreters.ports.backend import find_outputs
from arvo.interpreters.ports.errors import NoReply, Unavailable
from arvo.interpreters.runtime.asks import has_answer, make_signal
from arvo.interpreters.runtime.lookup import is_subject
from arvo.interpreters.runtime.runtime import Runtime
from arvo.interpreters.watching.history import find_completion
from arvo.interpreters.watching.idle import with_idle
from arvo.interpreters.watching.item import WorkflowEnded

# The source of the events of a client that names none.
HTTP_SOURCE: Final = "arvo.http.client"
# The first and the longest pause between two reads of a workflow that a client waits for.
POLL_SECONDS_MIN: Final = 0.02
POLL_SECONDS_MAX: Final = 0.5
# A proxy closes a connection on which nothing comes; a browser opens a stream again that ends.
KEEP_ALIVE_SECONDS: Final = 15.0
STREAM_SECONDS_MAX: Final = 300.0
# A position of a history entry has so many digits at most.
_POSITION_DIGITS_MAX: Final = 18


@define(eq=False)
class WorkflowsEndpoint:
    """Begins, signals and shows workflows; see `docs/clients-in-other-languages.md`."""

    runtime: Runtime
    access: Access
    partners: Partners | None
    # Of the requests that wait for a result or watch a workflow.
    _places: Places = field(factory=Places, init=False)
    _schemas: Schemas = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._schemas = Schemas.of(self.runtime.system)

    async def begin(self, request: Request) -> Response:
        """Begin a workflow: 202 with its id, or the result where the client waits for it."""
        return await self._receive(request, self._begin)

    async def signal(self, request: Request) -> Response:
        """Signal a workflow: 202, or 200 with the answer where the client waits for one."""
        return await self._receive(request, self._signal)

    async def result(self, request: Request) -> Response:
        """Respond with the outcome of a workflow: 200 when it has ended, 202 while it is active."""
        return await guard(self.runtime, self._get_result(request))

    async def events(self, request: Request) -> Response:
        """Stream the history of a workflow as server-sent events, until it ends."""
        return await guard(self.runtime, self._get_events(request))

    async def _receive(
        self, request: Request, act: Callable[[Request, bytes], Awaitable[Response]]
    ) -> Response:
        if refusal := refuse_other_type(request):
            return refusal
        body = await receive_body(request)
        if isinstance(body, Response):
            return body
        partner = identify_partner(self.partners, request, body)
        if isinstance(partner, Response):
            return partner
        response = await guard(self.runtime, act(request, body))
        if partner is not None:
            partner.sign(response)
        return response

    async def _begin(self, request: Request, body: bytes) -> Response:
        content = parse_body(body, ("workflow_id", "source", "data"))
        handler = _workflow(self.runtime, request.path_params["contract"])
        version = handler.contract.version(request.path_params["version"])
        with faults_of_client():
            event = version.init(
                content.get("data", {}),
                source=read_text(content, "source", HTTP_SOURCE),
                workflow_id=read_text(content, "workflow_id"),
            )
        refusal = await self.access.check(caller_of(request), event)
        if refusal is not None:
            return refusal
        if conflict := _conflict(await self.runtime.record(event.subject), event):
            return conflict
        await self.access.send(event)
        seconds = parse_wait(request.headers.getlist("prefer"))
        record = await self._wait(
            request,
            event.subject,
            seconds,
            lambda it: _has_ended(it) or _conflict(it, event) is not None,
        )
        # Another begin with this id may have entered at the same moment: the outcome is of that.
        if conflict := _conflict(record, event):
            return conflict
        if record is not None and record.status != "active":
            return await self._outcome(record)
        return self._accepted(request, event)

    async def _signal(self, request: Request, body: bytes) -> Response:
        content = parse_body(body, ("id", "source", "data"))
        event = await self._make_signal(request, content)
        if isinstance(event, Response):
            return event
        refusal = await self.access.check(caller_of(request), event)
        if refusal is not None:
            return refusal
        seconds = parse_wait(request.headers.getlist("prefer"))
        if seconds and has_answer(self.runtime.system, event) and self._may_wait(request):
            with self._places.take(client_name(request)):
                try:
                    answer = await self.runtime.request(event, timeout=seconds)
                except (TimeoutError, NoReply):
                    return self._accepted(request, event)
                except Violated as violated:
                    return answer_problem(violated)
            return json_response(200, {"type": answer.type, "data": answer.raw}, NO_STORE)
        await self.access.send(event)
        return self._accepted(request, event)

    async def _make_signal(
        self, request: Request, content: Mapping[str, Any]
    ) -> Event[Any] | Response:
        """Make the signal of a request. What is wrong with it may show that there is the workflow,
        so a caller that may not signal it only learns that.
        """
        record, workflow = None, from_path(request.path_params["workflow"])
        try:
            record = await self.runtime.record(workflow)
            if record is not None or is_subject(workflow):
                with faults_of_client():
                    return self._signal_of(request, content, record)
            fault = None
        except Violated as violated:
            fault = violated
        refusal = await self.access.authorize(caller_of(request), "signal", None, record)
        if refusal is None and fault is not None:
            raise fault
        return unknown_workflow() if refusal is None else refusal

    def _signal_of(
        self, request: Request, content: Mapping[str, Any], record: Record | None
    ) -> Event[Any]:
        workflow = from_path(request.path_params["workflow"])
        return make_signal(
            self.runtime.system,
            workflow if record is None else record.subject,
            record,
            content.get("data", {}),
            type=request.path_params["type"],
            options={
                "source": read_text(content, "source", HTTP_SOURCE),
                "id": read_text(content, "id", read_text(request.headers, "idempotency-key")),
            },
        )

    async def _get_result(self, request: Request) -> Response:
        record = await self._find_allowed(request, "result")
        if isinstance(record, Response):
            return record
        if record.status == "active":
            seconds = parse_wait(request.headers.getlist("prefer"))
            record = await self._wait(request, record.subject, seconds, _has_ended) or record
        return await self._outcome(record)

    async def _get_events(self, request: Request) -> Response:
        workflow = from_path(request.path_params["workflow"])
        found = await self.access.find(caller_of(request), "history", workflow)
        if isinstance(found, Response) and not await self._may_watch_early(request, found):
            return found
        if find_outputs(self.runtime.backend) is not None:
            return problem(501, "this backend stores no history: give the pair an index")
        if not self._may_wait(request):
            return problem(429, "too many clients watch workflows, try again later")
        last = request.headers.get("last-event-id", "")
        is_position = last.isascii() and last.isdigit() and len(last) <= _POSITION_DIGITS_MAX
        subject = workflow if isinstance(found, Response) else found.subject
        stream = self._stream(
            request,
            subject,
            int(last) if is_position else -1,
            is_allowed=not isinstance(found, Response),
        )
        return StreamingResponse(stream, 200, NO_STORE, "text/event-stream")

    async def _may_watch_early(self, request: Request, refusal: Response) -> bool:
        """Return whether a caller may watch a workflow that has not begun, by its subject.

        A workflow has no record before its first turn is committed, and that may take an hour.
        """
        workflow = from_path(request.path_params["workflow"])
        if refusal.status_code != HTTPStatus.NOT_FOUND or not is_subject(workflow):
            return False
        name = Subject.parse(workflow).orchestrator.name
        if not is_workflow(self.runtime.system.handler_at(name)):
            return False
        return await self.access.authorize(caller_of(request), "watch", None, None) is None

    async def _stream(
        self, request: Request, subject: str, after: int, *, is_allowed: bool
    ) -> AsyncIterator[bytes]:
        """Yield what a watcher gets, and a comment where nothing came for a while.

        *is_allowed*: whether the caller may read the history; otherwise it is asked once there is
        one.
        """
        until = asyncio.get_running_loop().time() + STREAM_SECONDS_MAX
        if not self.runtime.carries_reports:
            yield NO_REPORTS
        items = with_idle(self.runtime.watch(subject, after=after), KEEP_ALIVE_SECONDS, until)
        # A client whose stream ends early connects again.
        with self._places.take(client_name(request)), suppress(Unavailable):
            async with aclosing(items):
                async for item in items:
                    # Before there is an entry, only what the first turn reports.
                    if not is_allowed and isinstance(item, HistoryEntry | WorkflowEnded):
                        if not await self._may_read(request):
                            return
                        is_allowed = True
                    yield write_item(self._schemas, item)

    async def _may_read(self, request: Request) -> bool:
        found = await self._find_allowed(request, "history")
        return not isinstance(found, Response)

    async def _find_allowed(self, request: Request, verb: Verb) -> Record | Response:
        workflow = from_path(request.path_params["workflow"])
        return await self.access.find(caller_of(request), verb, workflow)

    async def _wait(
        self, request: Request, subject: str, seconds: int, until: Callable[[Record], bool]
    ) -> Record | None:
        """Read the record of a workflow until it is as awaited; the last one after *seconds*."""
        record = None
        if seconds <= 0 or not self._may_wait(request):
            return record
        pause = POLL_SECONDS_MIN
        with self._places.take(client_name(request)), suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    record = await self.runtime.record(subject)
                    if record is not None and until(record):
                        break
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, POLL_SECONDS_MAX)
        return record

    async def _outcome(self, record: Record) -> Response:
        content: dict[str, Any] = {
            "workflow_id": workflow_id_of(record.subject) or None,
            "subject": record.subject,
            "status": record.status,
        }
        if record.status == "active":
            return json_response(
                202, content, {"retry-after": str(RETRY_AFTER_SECONDS), **NO_STORE}
            )
        if record.failure is not None:
            content["error"] = {"name": record.failure.name, "message": record.failure.message}
        completion = None
        if record.status == "done":
            completion = await find_completion(self.runtime.backend, record)
        if completion is not None:
            content |= {"type": completion.type, "data": completion.raw}
        return json_response(200, content, NO_STORE)

    def _may_wait(self, request: Request) -> bool:
        return self._places.has_room(client_name(request))

    def _accepted(self, request: Request, event: Event[Any]) -> Response:
        root = request.scope.get("root_path", "")
        content = {
            "workflow_id": workflow_id_of(event.subject) or None,
            "subject": event.subject,
            "id": event.id,
        }
        location = f"{root}/workflows/{to_path(event.subject)}/result"
        return json_response(202, content, {"location": location})


def _has_ended(record: Record) -> bool:
    return bool(record.init) and record.status != "active"


def _conflict(record: Record | None, event: Event[Any]) -> Response | None:
    """Return the refusal of a begin whose workflow id has begun with another payload."""
    conflict = None if record is None else find_id_conflict(record, event)
    return None if conflict is None else violation_problem(conflict)


def _workflow(runtime: Runtime, name: str) -> WorkflowHandler:
    """Return the handler of a workflow, by the name or the type of its contract."""
    for address in (f"{ORCHESTRATOR_PREFIX}.{name}", name):
        handler = runtime.system.handler_at(address)
        if is_workflow(handler):
            return handler
    known = ", ".join(it.source for it in runtime.system.handlers if is_workflow(it)) or "none"
    issue = Issue("contract", f"the name of a workflow ({known})", short_repr(name))
    raise Violated(ConfigViolation("there is no such workflow", issue))
