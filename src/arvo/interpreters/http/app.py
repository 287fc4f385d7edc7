"""App: a runtime as an ASGI app that accepts events over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

from attrs import define, evolve, field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from arvo.core.violations.arguments import check_argument, check_function
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ContractViolation, Violated
from arvo.interpreters.http.access import Access, Allow, caller_of
from arvo.interpreters.http.events import EventsEndpoint, guard, json_response
from arvo.interpreters.http.probes import NO_STORE, Health, probes
from arvo.interpreters.http.problem import problem, unavailable_problem, violation_problem
from arvo.interpreters.http.signature import Partners
from arvo.interpreters.http.workflow_json import (
    Listing,
    from_path,
    page_json,
    read_listing,
    to_json,
)
from arvo.interpreters.http.workflows import WorkflowsEndpoint
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.results import PAGE_MAX, StoredWorkflow
from arvo.interpreters.runtime.lookup import is_subject
from arvo.interpreters.runtime.runtime import Runtime

# The age up to which a probe repeats the last result, so that probes do not load the backend.
PING_SECONDS: Final = 1.0
# Pages of the store that one list of workflows reads: a client goes on with `next`.
PAGES_READ_MAX: Final = 10


def asgi_app(
    runtime: Runtime,
    *,
    allow: Allow | None = None,
    secrets: Mapping[str, str | Sequence[str]] | None = None,
) -> Starlette:
    """Make an ASGI app that accepts events for a runtime (CloudEvents HTTP binding 1.0.2).

    As the root app its lifespan starts and stops the runtime. Mounted in another app, whose
    lifespan alone runs, it serves a runtime that you start there; before that it responds 503.

    *allow* decides who may send and read what (see `Allow`); without it every caller may do what an
    outsider may. It authenticates no caller: use Starlette's `AuthenticationMiddleware` around the
    app, or *secrets*: the names of partners, each with its secret, or with several of which any
    counts. Then every post needs a signature by Standard Webhooks, the partner's name is the
    caller, and the partner gets signed answers. Raises `Violated` for a secret that is none.
    """
    check_argument("runtime", runtime, Runtime, "a Runtime", of="asgi_app")
    check_function(
        "allow", allow, "a function of a caller, a verb, an event and a record", of="asgi_app"
    )
    check_argument(
        "secrets", secrets, Mapping | None, "the secrets of each partner by its name", of="asgi_app"
    )
    access = Access(runtime, allow)
    partners = None if secrets is None else Partners.parse(secrets)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001 - Starlette's signature
        if runtime.is_working:
            yield
            return
        async with runtime:
            yield

    events, views = EventsEndpoint(runtime, access, partners), _Views(runtime, access)
    workflows = WorkflowsEndpoint(runtime, access, partners)
    return Starlette(
        routes=[
            Route("/", events.post_events, methods=["POST"]),
            Route("/workflows", views.list_workflows, methods=["GET"]),
            Route("/workflows/{contract}/{version}", workflows.begin, methods=["POST"]),
            Route(
                "/workflows/{workflow:path}/signals/{type}",
                workflows.signal,
                methods=["POST"],
            ),
            Route("/workflows/{workflow:path}/result", workflows.result, methods=["GET"]),
            Route("/workflows/{workflow:path}/events", workflows.events, methods=["GET"]),
            # A path, because a subject in base64 and a workflow id may have slashes.
            Route("/workflows/{subject:path}", views.get_workflow, methods=["GET"]),
            *probes(views.live, views.ready),
        ],
        exception_handlers={HTTPException: _on_http_error, Exception: _on_bug},
        lifespan=lifespan,
    )


@define(eq=False)
class _Views:
    """The endpoints that only read."""

    runtime: Runtime
    access: Access
    _ping: "asyncio.Task[bool] | None" = field(default=None, init=False)
    _ping_at: float = field(default=0.0, init=False)

    async def get_workflow(self, request: Request) -> Response:
        """Respond with the description of a workflow."""
        subject = from_path(request.path_params["subject"])
        try:
            record = await self.access.find(caller_of(request), "describe", subject)
            if isinstance(record, Response):
                return record
            workflow = await self.runtime.describe(record.subject)
            return json_response(200, to_json(workflow), NO_STORE)
        except Violated as violated:
            return violation_problem(violated.violation, 404)
        except Unavailable as error:
            return unavailable_problem(error)

    async def list_workflows(self, request: Request) -> Response:
        """Respond with a page of the workflows that the caller may see."""
        return await guard(self.runtime, self._list(request))

    async def _list(self, request: Request) -> Response:
        if self.access.allow is None:
            # A description needs the id of the workflow; a list would show the ids of all.
            return problem(403, "this app lists no workflows: it has no `allow` that decides on it")
        listing = read_listing(request.query_params)
        last = await self._last_listed(listing)
        found: list[StoredWorkflow] = []
        # A caller who may see few gets short pages.
        for _ in range(PAGES_READ_MAX):
            page = await self._read_page(listing, last)
            if isinstance(page, Response):
                return page
            for last in page:
                shown = await self._is_shown(request, last)
                if isinstance(shown, Response):
                    return shown
                found += [last] * shown
                if len(found) == listing.limit:
                    return json_response(200, page_json(found, last), NO_STORE)
            if len(page) < PAGE_MAX:
                last = None
                break
        return json_response(200, page_json(found, last), NO_STORE)

    async def _last_listed(self, listing: Listing) -> StoredWorkflow | None:
        """Return the last workflow of the page before, as it was then."""
        if listing.after is None:
            return None
        changed, subject = listing.after
        stored = await self.runtime.backend.workflow(subject) if is_subject(subject) else None
        if stored is None:
            issue = Issue("after", "the `next` of a page", short_repr(subject))
            text = "the last workflow of the page before is gone: begin without `after`"
            raise Violated(ContractViolation(text, issue))
        return evolve(stored, changed=changed)

    async def _read_page(
        self, listing: Listing, last: StoredWorkflow | None
    ) -> tuple[StoredWorkflow, ...] | Response:
        try:
            return await self.runtime.workflows(after=last, **listing.filters)
        except Violated as violated:
            violation = violated.violation
            # A pair cannot list, and no workflow has such labels.
            is_pair = any(issue.path == "workflows" for issue in violation.issues)
            return violation_problem(violation, 501 if is_pair else 400)

    async def _is_shown(self, request: Request, stored: StoredWorkflow) -> bool | Response:
        refusal = await self.access.authorize(caller_of(request), "list", None, stored.record)
        if refusal is None:
            return True
        return False if refusal.status_code == HTTPStatus.FORBIDDEN else refusal

    async def live(self) -> Health:
        """Report that the event loop runs: the response itself is the proof."""
        return Health(is_ok=True, details={})

    async def ready(self) -> Health:
        """Report whether events are accepted: the runtime runs and the backend is reachable."""
        is_running = self.runtime.is_working
        is_reachable = is_running and await self._is_reachable()
        details = {"runtime": is_running, "backend": is_reachable}
        return Health(is_ok=is_reachable, details=details)

    async def _is_reachable(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._ping is None or now - self._ping_at > PING_SECONDS:
            self._ping_at = now
            self._ping = asyncio.create_task(self.runtime.is_reachable())
        # Concurrent probes share one task, which a client that disconnects does not cancel.
        return await asyncio.shield(self._ping)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = f"{request.method} {request.url.path}: {error.detail}"
    return problem(error.status_code, short_repr(detail), headers=error.headers or {})


async def _on_bug(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    # The server logs the error; a client must not receive a stack trace.
    return problem(500, "internal error, see the log of the server")
