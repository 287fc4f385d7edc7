"""Workflows: the endpoints for clients without this library: begin, signal, wait, watch.

They speak plain JSON. A client names a workflow by the id that it chose, and never sees an event.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import orjson
from attrs import define, field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from arvo.core.contracts.check import ORCHESTRATOR_PREFIX
from arvo.core.events.event import Event
from arvo.core.events.subject import workflow_id_of
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import (
    ConfigViolation,
    Violated,
)
from arvo.engine.step.doors import find_id_conflict
from arvo.engine.system.handler import WorkflowHandler, is_workflow
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
from arvo.interpreters.http.workflow_json import from_path, to_path
from arvo.interpreters.ports.backend import find_outputs
from arvo.interpreters.ports.errors import NoReply, Unavailable
from arvo.interpreters.runtime.asks import has_answer, make_signal
from arvo.interpreters.runtime.lookup import is_subject
from arvo.interpreters.runtime.operations import history_entries
from arvo.interpreters.runtime.runtime import Runtime

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
        record = await self._find_allowed(request, "history")
        if isinstance(record, Response):
            return record
        if find_outputs(self.runtime.backend) is not None:
            return problem(501, "this backend stores no history: give the pair an index")
        if not self._may_wait(request):
            return problem(429, "too many clients watch workflows, try again later")
        last = request.headers.get("last-event-id", "")
        is_position = last.isascii() and last.isdigit() and len(last) <= _POSITION_DIGITS_MAX
        stream = self._stream(
            client_name(request), record.subject, int(last) if is_position else -1
        )
        return StreamingResponse(stream, 200, NO_STORE, "text/event-stream")

    async def _stream(self, client: str, subject: str, position: int) -> AsyncIterator[bytes]:
        """Yield the entries after *position*, and a comment where none came for a while."""
        loop = asyncio.get_running_loop()
        end, written_at, pause = loop.time() + STREAM_SECONDS_MAX, loop.time(), POLL_SECONDS_MIN
        with self._places.take(client):
            while loop.time() < end:
                try:
                    # Before the history: what the last turn has produced is there then.
                    record = await self.runtime.record(subject)
                    entries = await self._entries_after(subject, position)
                except Unavailable:
                    return  # the client reconnects
                for entry in reversed(entries):
                    position, written_at, pause = entry.position, loop.time(), POLL_SECONDS_MIN
                    yield _sse(entry)
                if not entries and (record is None or record.status != "active"):
                    yield b"event: end\ndata: {}\n\n"
                    return
                if loop.time() - written_at >= KEEP_ALIVE_SECONDS:
                    written_at = loop.time()
                    yield b": no news\n\n"
                if not entries:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, POLL_SECONDS_MAX)

    async def _entries_after(self, subject: str, position: int) -> list[HistoryEntry]:
        entries: list[HistoryEntry] = []
        async for entry in history_entries(self.runtime.backend, subject):
            if entry.position <= position:
                break
            entries.append(entry)
        return entries

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
        completion = await self._completion(record) if record.status == "done" else None
        if completion is not None:
            content |= {"type": completion.type, "data": completion.raw}
        return json_response(200, content, NO_STORE)

    async def _completion(self, record: Record) -> Event[Any] | None:
        backend, done = self.runtime.backend, f"{record.handler}.done"
        if (retaining := find_outputs(backend)) is not None:
            outputs = await retaining.produced(record.subject)
            return next((event for event in reversed(outputs) if event.type == done), None)
        async for entry in history_entries(backend, record.subject):
            if entry.kind == "produced" and entry.event is not None and entry.event.type == done:
                return entry.event
        return None

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


def _sse(entry: HistoryEntry) -> bytes:
    """Write an entry as a server-sent event (HTML Living Standard §9.2); JSON has no newline."""
    content = entry.to_dict()
    del content["record"]  # the state of a workflow is private
    data = orjson.dumps(content).decode()
    return f"id: {entry.position}\nevent: {entry.kind}\ndata: {data}\n\n".encode()
