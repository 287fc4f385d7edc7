"""App: the operator's console as an ASGI app."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, final

from attrs import define, field
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from arvo.console.changes import Changes
from arvo.console.extension import NO_EXTENSION, Extension, Respond
from arvo.console.jobs.runner import Jobs
from arvo.console.metrics.sampler import Sampler
from arvo.console.pages import (
    actions,
    batches,
    dead_letters,
    lists,
    redrives,
    schedules,
    sending,
    systems,
    tabs,
    what_if,
)
from arvo.console.render import ASSETS, SCRUB, make_environment
from arvo.console.requests.access import Allow, Reader, UserSource, read_only, scope_user
from arvo.console.requests.security import COOKIE, SecurityHeaders, make_token
from arvo.console.requests.visit import Page, Refused, Visit
from arvo.console.views.links import Href, Links, is_trace_url
from arvo.console.views.secrets import Redaction
from arvo.console.views.shell import DONE, Shell, show_ahead, show_crumbs, show_sections
from arvo.core.violations.arguments import check_argument, check_function, refusal
from arvo.core.violations.violation import Violated
from arvo.engine.system.schemas import Schemas
from arvo.interpreters.delivery.log import get_logger
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.runtime.client import Client

logger: Final = get_logger("console")

_MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
ASSET_SECONDS: Final = 3_600

_PAGES: Final[Mapping[str, Respond]] = {
    "/": lists.overview,
    "/workflows": lists.workflows,
    "/search": lists.search,
    "/dead-letters": dead_letters.dead_letters,
    "/dead-letter": dead_letters.dead_letter,
    "/dead-letter-event": dead_letters.dead_letter_event,
    "/timers": lists.timers,
    "/schedules": schedules.schedules,
    "/activity": lists.activity,
    "/jobs": batches.jobs,
    "/job": batches.job,
    # A browser that is sent there once more, as after signing in, gets a page as well.
    "/batches/workflows": batches.back_to_list,
    "/batches/dead-letters": batches.back_to_list,
    "/job/run": batches.back_to_job,
    "/job/again": batches.back_to_job,
    "/job/stop": batches.back_to_job,
    "/system": systems.system,
    "/contract": systems.contract,
    "/asyncapi.json": systems.asyncapi_document,
    "/send": sending.send_form,
    "/sent": sending.sent,
    "/workers": systems.workers,
    "/act-dead-letter": redrives.dead_letter_form,
    "/edit-dead-letter": redrives.edit_form,
    "/check-dead-letter": redrives.edit_form,
    "/act/{verb}/{workflow:path}": actions.workflow_form,
    "/what-if/{workflow:path}": what_if.what_if_form,
    # A path, because a workflow id may have slashes.
    "/workflows/{workflow:path}": tabs.workflow,
    "/history/{workflow:path}": tabs.history_lines,
    "/event/{workflow:path}": tabs.event_json,
    "/state/{workflow:path}": tabs.state_json,
}
_ACTIONS: Final[Mapping[str, Respond]] = {
    "/send": sending.send,
    "/check": sending.check,
    "/act-dead-letter": redrives.dead_letter_act,
    "/edit-dead-letter": redrives.edit_act,
    "/check-dead-letter": redrives.edit_check,
    "/batches/workflows": batches.workflow_batch,
    "/batches/dead-letters": batches.dead_letter_batch,
    "/job/run": batches.run_job,
    "/job/again": batches.try_again,
    "/job/stop": batches.stop_job,
    "/act/{verb}/{workflow:path}": actions.workflow_act,
    "/what-if/{workflow:path}": what_if.what_if,
}


def console(
    client: Client,
    *,
    user: UserSource = scope_user,
    allow: Allow = read_only,
    backend: str = "",
    label: str = "",
    trace_url: str = "",
) -> Starlette:
    """Make the console of a client as an ASGI app, to mount in another one or to serve alone.

    The client is used, and not opened or closed. The lifespan of the app stops the jobs by which
    operators act on many workflows. *user* names the user of a request, by default the
    one of Starlette's `AuthenticationMiddleware`. *allow* decides what a user may see and do, see
    `Allow`; by default every user may see everything, and act on nothing. *backend* and *label* are
    shown above each page: the name of the backend, and of the environment. *trace_url*: the address
    of the page of a trace elsewhere, such as `http://jaeger/trace/{trace_id}`.
    """
    check_argument("client", client, Client, "a Client or a Runtime", of="console")
    check_function("user", user, "a function from a request to a name", of="console")
    check_function("allow", allow, "a function of a user, a verb and a record", of="console")
    check_argument("backend", backend, str, "the name of the backend", of="console")
    check_argument("label", label, str, "the name of the environment", of="console")
    expected = "an http address with {trace_id} in it, or nothing"
    check_argument("trace_url", trace_url, str, expected, of="console")
    if trace_url and not is_trace_url(trace_url):
        raise refusal("trace_url", trace_url, expected, "console")
    return extended_console(client, user, allow, backend, label, NO_EXTENSION, trace_url)


def extended_console(  # noqa: PLR0913 - those of `console`
    client: Client,
    user: UserSource,
    allow: Allow,
    backend: str,
    label: str,
    extension: Extension,
    trace_url: str = "",
) -> Starlette:
    """Make the console with the pages of an *extension*; the rest as for `console`."""
    name = backend or type(client.backend).__name__
    app = _Console(client, user, allow, name, label, extension, trace_url)
    pages_, actions_ = {**_PAGES, **extension.pages}, {**_ACTIONS, **extension.actions}
    routes = [
        Route(path, app.endpoint(respond), methods=["GET"]) for path, respond in pages_.items()
    ]
    routes += [
        Route(path, app.endpoint(respond), methods=["POST"]) for path, respond in actions_.items()
    ]
    made = Starlette(
        routes=[
            Route("/assets/{name}", _asset, methods=["GET"]),
            Route("/changes", app.changes, methods=["GET"]),
            *routes,
        ],
        middleware=[Middleware(SecurityHeaders)],
        exception_handlers={HTTPException: app.http_error},
        lifespan=app.lifespan,
    )
    made.state.jobs = app.jobs
    return made


@final
@define(eq=False)
class _Console:
    """Answers requests: finds out who asks, and prints the page that a function makes."""

    client: Client
    user: UserSource
    allow: Allow
    backend: str
    label: str
    extension: Extension
    trace_url: str
    _schemas: Schemas = field(init=False)
    _environment: Environment = field(factory=make_environment, init=False)
    _changes: Changes = field(init=False)
    _sampler: Sampler = field(init=False)
    jobs: Jobs = field(init=False)

    @_schemas.default
    def _default_schemas(self) -> Schemas:
        return Schemas.of(self.client.system)

    @_changes.default
    def _default_changes(self) -> Changes:
        return Changes(self.client, handled=self.extension.changed)

    @_sampler.default
    def _default_sampler(self) -> Sampler:
        return Sampler(self.client)

    @jobs.default
    def _default_jobs(self) -> Jobs:
        return Jobs(self.client)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Stop jobs and samples at the end, before the client is closed; first the acts."""
        self._sampler.start()
        try:
            yield
        finally:
            await self.jobs.close()
            await self._sampler.close()

    def endpoint(self, respond: Respond) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint that shows what *respond* makes."""

        async def answer(request: Request) -> Response:
            try:
                return await self._answer(request, respond)
            except Exception:
                # A client must not receive a stack trace, and Starlette's own page has no headers.
                logger.exception("a page of the console failed")
                return Response("internal error, see the log of the server", 500)

        return answer

    async def _answer(self, request: Request, respond: Respond) -> Response:
        visit = await self._visit(request)
        try:
            self._require_user(visit)
            # Before the page is read: what changes from now on is news for it.
            since = await self._changes.mark() if request.method == "GET" else None
            made = await respond(self.client, visit)
        except (Refused, Violated, Unavailable, Corrupt) as error:
            made, since = _refusal(error), None
        return made if isinstance(made, Response) else await self._print(made, visit, since)

    async def changes(self, request: Request) -> Response:
        """Stream the ids of the workflows that change."""
        visit = await self._visit(request)
        try:
            self._require_user(visit)
            await visit.require("see")
        except Refused as refused:
            return Response(refused.text, refused.status)
        return await self._changes.respond(request)

    async def http_error(self, request: Request, error: Exception) -> Response:
        """Show an address that leads nowhere, or a method that it does not take."""
        assert isinstance(error, HTTPException)
        text = "Nothing is at this address." if error.status_code == 404 else error.detail
        page = _refused_page(error.status_code, "There is no such page", text)
        return await self._print(page, await self._visit(request))

    async def _visit(self, request: Request) -> Visit:
        # The lifespan of a mounted app is not run, unless its application does.
        self._sampler.start()
        reader = Reader(self.user(request), self.allow)
        return Visit(
            request=request,
            reader=reader,
            redaction=Redaction(self._schemas, await reader.may("see_data")),
            links=Links(str(request.scope.get("root_path", "")).rstrip("/"), self.trace_url),
            token=request.cookies.get(COOKIE) or make_token(),
            jobs=self.jobs,
            sampler=self._sampler,
        )

    def _require_user(self, visit: Visit) -> None:
        # A source of users that names none for this request has not authenticated it.
        if self.user is not scope_user and visit.reader.user is None:
            text = "The proxy in front of this console has named no user."
            raise Refused(401, "Who are you?", text)

    async def _print(self, page: Page, visit: Visit, since: str | None = None) -> Response:
        request = visit.request
        query = request.url.query
        shell = Shell(
            backend=self.backend,
            label=self.label,
            user=visit.reader.user or "",
            items=show_sections(visit.links, page.section, self.extension.sections),
            crumbs=show_crumbs(visit.links, page.section, page.crumbs),
            ahead=show_ahead(self.extension.ahead()),
            done=DONE.get(request.query_params.get("done", ""), ""),
            token=visit.token,
            verbs=await visit.reader.verbs(),
            address=Href(f"{request.url.path}?{query}" if query else request.url.path),
            since=since if page.is_live else None,
        )
        text = self._environment.get_template(page.template).render(
            {
                **page.more,
                SCRUB: visit.redaction.scrub,
                "page": page,
                "view": page.view,
                "shell": shell,
                "links": visit.links,
            }
        )
        response = HTMLResponse(text, page.status)
        if COOKIE not in request.cookies:
            response.set_cookie(
                COOKIE,
                visit.token,
                path=visit.links.to(),
                secure=request.url.scheme == "https",
                httponly=True,
                samesite="strict",
            )
        return response


def _refusal(error: Refused | Violated | Unavailable | Corrupt) -> Page:
    match error:
        case Refused():
            return _refused_page(error.status, error.title, error.text)
        case Violated():
            return _refused_page(404, "This cannot be shown", str(error))
        case Unavailable():
            text = f"The backend was not reached: {error}. The other pages may still work."
            return _refused_page(503, "The backend does not answer", text)
        case Corrupt():
            return _refused_page(500, "The backend holds data that cannot be read", str(error))


def _refused_page(status: int, title: str, text: str) -> Page:
    view = {"text": text, "can_retry": status in (500, 503)}
    return Page(template="refused.html", title=title, view=view, status=status)


async def _asset(request: Request) -> Response:
    path = ASSETS / str(request.path_params["name"])
    media_type = _MEDIA_TYPES.get(path.suffix)
    # By the list of files, so that no name leads out of the folder.
    if media_type is None or path not in _ASSET_FILES:
        raise HTTPException(404)
    headers = {"cache-control": f"max-age={ASSET_SECONDS}"}
    return Response(_ASSET_FILES[path], 200, headers, media_type)


_ASSET_FILES: Final[Mapping[Any, bytes]] = {
    path: path.read_bytes() for path in sorted(ASSETS.iterdir()) if path.suffix in _MEDIA_TYPES
}
