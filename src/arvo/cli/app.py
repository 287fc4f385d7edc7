"""App: the commands of `arvo`."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, TypeAlias, final

from attrs import asdict, frozen
from cyclopts import App, Parameter

from arvo.cli.dead_letters import dead_letters_app
from arvo.cli.errors import REPORTED_ERRORS, UsageError, format_error
from arvo.cli.events import parse_payload, read_contracts, read_events
from arvo.cli.generate.module import write_module
from arvo.cli.heartbeat import HANG_SECONDS, HANG_SECONDS_MIN
from arvo.cli.load import (
    EMPTY_SYSTEM,
    AsJson,
    DryRun,
    Every,
    Reason,
    SystemName,
    Url,
    load_system,
    require_existing,
    user_name,
)
from arvo.cli.log import LogFormat, LogLevel, LogOptions
from arvo.cli.output import print_json, print_line, print_result, print_status
from arvo.cli.supervisor import Supervisor
from arvo.cli.telemetry import is_exporting
from arvo.core.record import Status
from arvo.engine.system.asyncapi import asyncapi as make_asyncapi
from arvo.extras import extra_of, needs_extra
from arvo.interpreters.delivery.backend_url import hide_logins, show_url
from arvo.interpreters.delivery.log import format_traceback
from arvo.interpreters.http.openapi import openapi as make_openapi
from arvo.interpreters.ports.results import PAGE_MAX, WorkflowFilters
from arvo.interpreters.runtime.backends import backend_from_url
from arvo.interpreters.runtime.batches import BATCH_MAX, BatchOptions
from arvo.interpreters.runtime.client import Client
from arvo.printable import printable

# The source of events that are sent without --source.
CLI_SOURCE: Final = "arvo.cli.shell"
WORKERS_MAX: Final = 256

app = App(name="arvo", help="Run a system of event handlers and workflows, and operate it.")
app.command(dead_letters_app)


def run_command(tokens: Sequence[str]) -> int:
    """Run a command and return its exit code.

    2, with one line on standard error, if it fails; 1, with a traceback, for a bug.
    """
    try:
        result = app(
            list(tokens), exit_on_error=False, print_error=False, result_action="return_value"
        )
    except REPORTED_ERRORS as error:
        print_status(format_error(error))
        return 2
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the interpreter would print the message unescaped
        sys.stderr.write(f"{hide_logins(format_traceback(error))}\n")
        return 1
    return result if isinstance(result, int) else 0


@app.command
async def run(
    system: SystemName,
    /,
    *,
    backend: Url,
    workers: int = 1,
    shutdown_timeout: float = 30.0,
    health: str | None = None,
    hang_timeout: float = HANG_SECONDS,
    log_format: LogFormat = "text",
    log_level: LogLevel = "info",
    otel: bool | None = None,
) -> int:
    """Run a system in one or more worker processes until a signal stops them.

    SYSTEM names a System, or a function from the backend's URL to a Runtime. A worker that dies is
    restarted. SIGTERM or Ctrl-C finishes the events in progress; a second signal stops at once.

    Parameters
    ----------
    workers
        The number of worker processes.
    shutdown_timeout
        Seconds that handlers have to finish after a signal.
    health
        HOST:PORT or :PORT on which /live and /ready report the state of the workers.
    hang_timeout
        Seconds without a heartbeat after which a worker is killed and restarted.
    log_format
        Write the log to standard error as text, or as one JSON object a line.
    log_level
        The lowest level of Arvo's own lines; other libraries log warnings.
    otel
        Export spans and metrics over OTLP, as the variables OTEL_* say; by default where one of
        them names a collector.
    """
    if not 1 <= workers <= WORKERS_MAX:
        raise UsageError(f"--workers: expected 1 to {WORKERS_MAX}, got {workers}")
    if hang_timeout < HANG_SECONDS_MIN:
        raise UsageError(
            f"--hang-timeout: expected {HANG_SECONDS_MIN:g} or more, got {hang_timeout:g}"
        )
    if workers > 1 and backend.startswith("memory:"):
        raise UsageError(
            "the memory: backend lives in one process: choose another backend, or --workers 1"
        )
    # A faulty name or URL would fail in every worker: report it once, before any starts.
    async with Client(load_system(system, backend), backend) as client:
        await client.record("arvo.run")
        await client.depth()
    log, exports = LogOptions(log_format, log_level), is_exporting(otel, os.environ)
    supervisor = Supervisor(
        system, backend, workers, shutdown_timeout, hang_timeout, log=log, otel=exports
    )
    async with nullcontext() if health is None else _serve_health(supervisor, health):
        return await supervisor.work()


def _serve_health(supervisor: Supervisor, address: str) -> AbstractAsyncContextManager[None]:
    with _naming_extra("--health"):
        from arvo.cli.health import listen, serve_health
    return serve_health(supervisor, listen(address))


@contextmanager
def _naming_extra(feature: str) -> Iterator[None]:
    """Make a usage error of an import in the block that finds no module of an extra."""
    try:
        with needs_extra(feature):
            yield
    except ModuleNotFoundError as error:
        if extra_of(error) is None:
            raise
        raise UsageError(str(error)) from error


@app.command
async def console(
    system: SystemName | None = None,
    /,
    *,
    backend: Url,
    listen: str = "127.0.0.1:8300",
    allow: Literal["read", "act"] = "read",
    trust_proxy: Annotated[bool, Parameter(negative="")] = False,
    label: str = "",
) -> None:
    """Serve pages that show the workflows on a backend, until a signal stops them.

    SYSTEM is needed to replay, to query, to send and to act, and to show data: the console hides
    what may be secret in data whose contract it does not have.

    Parameters
    ----------
    listen
        HOST:PORT of the pages; beyond this machine only with --trust-proxy.
    allow
        "act" lets everyone who reaches the pages act; "read" lets them look.
    trust_proxy
        Take the user from X-Forwarded-User, which a proxy in front sets for each request.
    label
        The name of the environment, such as prod, shown above each page.
    """
    if backend.startswith("memory:"):
        raise UsageError(
            "the memory: backend lives in one process: choose another backend, or mount "
            "arvo.console.console(client) in the application"
        )
    with _naming_extra("arvo console"):
        from arvo.cli.health import listen as listen_on
        from arvo.console.serve import is_loopback, serve
    loaded = EMPTY_SYSTEM if system is None else load_system(system, backend)
    with listen_on(listen, "--listen") as listening:
        if not (trust_proxy or is_loopback(listening)):
            raise UsageError(
                f"--listen: {listen} is reached by other machines, and the console does not know "
                "who asks: listen on 127.0.0.1, or put a proxy in front that authenticates users "
                "and sets X-Forwarded-User, and add --trust-proxy"
            )
        async with Client(loaded, require_existing(backend)) as client:
            await client.depth()
            print_status(f"console on port {listening.getsockname()[1]}")
            await serve(
                client,
                listening,
                backend=show_url(backend),
                may_act=allow == "act",
                trust_proxy=trust_proxy,
                label=label,
            )


@app.command
async def send(
    system: SystemName,
    events: str = "-",
    /,
    *,
    backend: Url,
    type: str | None = None,  # noqa: A002 - the wire's word
    source: str = CLI_SOURCE,
    id: str | None = None,  # noqa: A002 - short for a shell
) -> None:
    """Send events to a system; all are checked before the first is sent.

    EVENTS is a JSON file, or - for standard input: one event, a list, or one event a line.

    Parameters
    ----------
    type
        EVENTS holds payloads; each becomes an event of this type.
    source
        The source of those events: the address that replies go to.
    id
        The workflow id of the run that a single payload begins; it begins once.
    """
    loaded = load_system(system, backend)
    batch = read_events(loaded, events, type, source, id)
    async with Client(loaded, backend) as client:
        for event in batch:
            await client.check(event)
        for event in batch:
            await client.send(event)
            print_line(printable(f"{event.id}  {event.type}  {event.subject}"))


@app.command
async def signal(
    system: SystemName,
    workflow: str,
    /,
    *,
    type: str,  # noqa: A002 - the wire's word
    data: str = "{}",
    id: str | None = None,  # noqa: A002 - the wire's word
    source: str = CLI_SOURCE,
    wait: float = 0.0,
    reason: Reason = "",
    backend: Url,
) -> None:
    """Signal a workflow; with --wait, print its answer.

    WORKFLOW is the id or the subject of a workflow.

    Parameters
    ----------
    type
        The type of the signal, such as com.desk.approve.
    data
        The payload of the signal, as JSON.
    id
        The id of the signal; it counts once, however often it is sent.
    source
        The source of the signal: the address that its answer goes to.
    wait
        Seconds to wait for the answer of the workflow, where the signal has one.
    """
    payload = parse_payload(data)
    async with Client(load_system(system, backend), require_existing(backend)) as client:
        if wait > 0:
            answer = await client.ask(
                workflow, payload, type=type, id=id, source=source, timeout=wait
            )
            print_json(answer.to_dict())
            return
        event = await client.signal(
            workflow,
            payload,
            type=type,
            id=id,
            source=source,
            actor=user_name() or source,
            reason=reason,
        )
        print_line(printable(f"{event.id}  {event.type}  {event.subject}"))


@app.command
def export(
    system: SystemName,
    /,
    *,
    openapi: Annotated[bool, Parameter(negative="")] = False,
    asyncapi: Annotated[bool, Parameter(negative="")] = False,
    json_schema: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Print a document about a system, made from its contracts, as JSON.

    Parameters
    ----------
    openapi
        The HTTP interface of its workflows, OpenAPI 3.1.
    asyncapi
        Its events, AsyncAPI 3.0.
    json_schema
        Its contracts, one a line, as `Contract.json_schema` exports them.
    """
    if [openapi, asyncapi, json_schema].count(True) != 1:
        raise UsageError("export: expected one of --openapi, --asyncapi, --json-schema")
    loaded = load_system(system, "memory:")
    if openapi:
        print_json(make_openapi(loaded, title=system))
    elif asyncapi:
        print_json(make_asyncapi(loaded, title=system))
    else:
        for handler in loaded.handlers:
            print_json(handler.contract.json_schema())


@final
@frozen(kw_only=True)
class _Filters:
    """Which workflows.

    Parameters
    ----------
    type
        Only runs of one workflow type, such as arvo.orc.order.
    id
        Only runs with this workflow id.
    label
        Only those with this label, such as customer=ann; several must all be there.
    text
        Only those with this text in their workflow id or in a label.
    unchanged_for
        Only those that have not changed for this many seconds.
    """

    type: str | None = None
    id: str | None = None
    label: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    text: str | None = None
    unchanged_for: float | None = None

    def select(self) -> WorkflowFilters:
        """Return them as the client takes them, without the type."""
        if missing := [each for each in self.label if "=" not in each]:
            raise UsageError(f"--label: expected name=value, got {missing[0]!r}")
        since = self.unchanged_for
        return {
            "workflow_id": self.id,
            "labels": dict(each.split("=", 1) for each in self.label),
            "text": self.text,
            "unchanged_since": None
            if since is None
            else datetime.now(UTC) - timedelta(seconds=since),
        }

    def select_for(
        self, workflow: str | None, *, is_every: bool, dry_run: bool, limit: int
    ) -> BatchOptions:
        """Return the options of an act on many; raise `UsageError` if it names one, or nothing."""
        if (workflow is not None) + (self != ALL) + is_every != 1:
            raise UsageError("expected a WORKFLOW, or filters such as --type, or --all")
        return {
            **self.select(),
            "type": self.type,
            "dry_run": dry_run,
            "limit": limit,
            "on_progress": None,
            "actor": user_name(),
        }


Filters: TypeAlias = Annotated[_Filters, Parameter("*")]
ALL: Final = _Filters()


@app.command
async def workflows(
    *,
    filters: Filters = ALL,
    backend: Url,
    status: Status | None = None,
    limit: int = PAGE_MAX,
    json: AsJson = False,
) -> None:
    """List workflows, the most recently changed first.

    Parameters
    ----------
    status
        Only those that are active, done, failed or cancelled.
    json
        Print one record a line, as JSON.
    """
    selected = filters.select()
    selected["status"] = status
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        remaining, last = limit, None
        while remaining > 0 and (
            page := await client.workflows(
                type=filters.type, after=last, limit=min(remaining, PAGE_MAX), **selected
            )
        ):
            for workflow in page:
                print_json(workflow.record.to_dict()) if json else print_line(str(workflow))
            remaining, last = remaining - len(page), page[-1]


@app.command
async def timers(
    *,
    type: str | None = None,  # noqa: A002 - the wire's word
    limit: int = PAGE_MAX,
    backend: Url,
    json: AsJson = False,
) -> None:
    """List the timers that have not fired, the next one first; late ones are before it.

    Parameters
    ----------
    type
        Only those of one workflow type, such as arvo.orc.order.
    json
        Print one timer a line, as JSON.
    """
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        remaining, last = limit, None
        while remaining > 0 and (
            page := await client.timers(type=type, after=last, limit=min(remaining, PAGE_MAX))
        ):
            for timer in page:
                due = timer.due.isoformat(timespec="milliseconds")
                print_json({**asdict(timer), "due": due}) if json else print_line(str(timer))
            remaining, last = remaining - len(page), page[-1]


@app.command
async def versions(
    *,
    expect_none: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    backend: Url,
    json: AsJson = False,
) -> int:
    """Count the active and the failed workflows by handler and version.

    Parameters
    ----------
    expect_none
        Exit with code 1 if a workflow of HANDLER@VERSION, such as arvo.orc.order@1.0.0, is active:
        a deployment may not leave it out.
    json
        Print one version a line, as JSON.
    """
    if missing := [each for each in expect_none if not all(each.partition("@"))]:
        raise UsageError(f"--expect-none: expected HANDLER@VERSION, got {missing[0]!r}")
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        uses = await client.versions()
    for use in uses:
        print_json(asdict(use)) if json else print_line(str(use))
    return int(any(use.active and f"{use.handler}@{use.version}" in expect_none for use in uses))


@app.command
async def describe(workflow: str, /, *, backend: Url) -> None:
    """Describe a workflow: its status, what it waits for and since when, and its failure.

    WORKFLOW is its workflow id or its subject, in each command.
    """
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        print_line(str(await client.describe(workflow)))


@app.command
async def history(workflow: str, /, *, backend: Url, json: AsJson = False) -> None:
    """Print every event that a workflow has consumed and produced, in order.

    Parameters
    ----------
    json
        Print one history entry a line, as JSON, with its event.
    """
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        for entry in await client.history(workflow):
            if json:
                print_json(entry.to_dict())
            else:
                print_line(str(entry))


@app.command
async def cancel(
    system: SystemName,
    workflow: str | None = None,
    /,
    *,
    filters: Filters = ALL,
    every: Every = False,
    dry_run: DryRun = False,
    limit: int = BATCH_MAX,
    reason: Reason,
    backend: Url,
) -> int:
    """Cancel a workflow and its children, or all active ones that filters select.

    Their compensations are sent. Exit code 1 if some were refused.
    """
    options = filters.select_for(workflow, is_every=every, dry_run=dry_run, limit=limit)
    async with Client(load_system(system, backend), require_existing(backend)) as client:
        if workflow is None:
            return print_result(await client.cancel_workflows(reason, **options))
        await client.cancel(workflow, reason, actor=user_name())
        return 0


@app.command
async def migrate(
    system: SystemName,
    workflow: str | None = None,
    /,
    *,
    to: str,
    filters: Filters = ALL,
    every: Every = False,
    dry_run: DryRun = False,
    limit: int = BATCH_MAX,
    reason: Reason = "",
    backend: Url,
) -> int:
    """Migrate a workflow to another version, or all active ones that filters select.

    Exit code 1 if some were refused.

    Parameters
    ----------
    to
        The version, such as 2.0.0.
    """
    options = filters.select_for(workflow, is_every=every, dry_run=dry_run, limit=limit)
    async with Client(load_system(system, backend), require_existing(backend)) as client:
        if workflow is None:
            return print_result(await client.migrate_workflows(to=to, reason=reason, **options))
        record = await client.migrate(workflow, to=to, actor=user_name(), reason=reason)
        print_line(f"{record.handler} {record.version} continues, revision {record.revision}")
        return 0


@app.command
async def revive(
    system: SystemName,
    workflow: str | None = None,
    /,
    *,
    filters: Filters = ALL,
    every: Every = False,
    dry_run: DryRun = False,
    limit: int = BATCH_MAX,
    backend: Url,
    after_compensation: bool = False,
    reason: Reason = "",
) -> int:
    """Revive a failed workflow, or all that filters select.

    It continues from its last good record. Exit code 1 if some were refused.

    Parameters
    ----------
    after_compensation
        Revive it even if its failure has sent compensations; they stay in effect.
    """
    options = filters.select_for(workflow, is_every=every, dry_run=dry_run, limit=limit)
    async with Client(load_system(system, backend), require_existing(backend)) as client:
        if workflow is None:
            return print_result(
                await client.revive_workflows(
                    after_compensation=after_compensation, reason=reason, **options
                )
            )
        record = await client.revive(
            workflow, after_compensation=after_compensation, actor=user_name(), reason=reason
        )
        print_line(f"{record.handler} {record.version} continues, revision {record.revision}")
        return 0


@app.command
async def audit(
    workflow: str | None = None,
    /,
    *,
    backend: Url,
    limit: int = PAGE_MAX,
    json: AsJson = False,
) -> None:
    """Print who has acted on workflows and dead letters, when and why, the newest first.

    WORKFLOW: only the acts on this one.

    Parameters
    ----------
    json
        Print one act a line, as JSON.
    """
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        remaining, last = limit, None
        while remaining > 0 and (
            page := await client.audit_log(
                after=last, limit=min(remaining, PAGE_MAX), workflow=workflow
            )
        ):
            for entry in page:
                print_json(entry.to_dict()) if json else print_line(str(entry))
            remaining, last = remaining - len(page), page[-1]


@app.command(name="import")
def import_contract(document: str = "-", /) -> None:
    """Print the Python of contracts that exist as JSON: payload classes and their contracts.

    DOCUMENT is a JSON file, or - for standard input: what `Contract.json_schema` exports, or
    `toJsonSchema` of the TypeScript packages; several as a list, or one a line, as
    `arvo export --json-schema` prints them. A payload that no class has exactly stays a JSON
    Schema.
    """
    print_line(write_module(*read_contracts(document)).removesuffix("\n"))


@app.command
async def upgrade(*, backend: Url, sql: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Create or migrate the tables of a backend whose workers have migrate=no in their URL.

    Parameters
    ----------
    sql
        Change nothing; print the SQL that creates the tables in an empty database.
    """
    if backend.partition(":")[0] not in {"postgres", "postgresql"}:
        raise UsageError(
            "--backend: only Postgres needs this command; other backends migrate when they open"
        )
    backend_from_url(backend)  # raises for a faulty URL or a missing driver
    from arvo.interpreters import postgres

    if sql:
        print_line(postgres.migration_script(backend).rstrip())
        return
    made = await postgres.upgrade(backend)
    print_line(f"applied migrations: {made}" if made else "nothing to do")
