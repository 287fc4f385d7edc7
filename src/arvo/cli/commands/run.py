"""Run: the command that works, and the one that migrates its tables."""

import logging
import os
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Annotated, Final

from cyclopts import Parameter

from arvo.cli.process.heartbeat import HANG_SECONDS, HANG_SECONDS_MIN
from arvo.cli.process.log import LogFormat, LogLevel, LogOptions
from arvo.cli.process.supervisor import Supervisor
from arvo.cli.process.telemetry import is_exporting
from arvo.cli.terminal.errors import UsageError, naming_extra
from arvo.cli.terminal.load import (
    SystemName,
    Url,
    load_system,
    open_backend,
)
from arvo.cli.terminal.output import TEXT, Output
from arvo.interpreters.runtime.backends import backend_from_url
from arvo.interpreters.runtime.client import Client

WORKERS_MAX: Final = 256


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

    SYSTEM names a System, or a function from the backend's URL to a Runtime. The findings of its
    `check` are reported first. A worker that dies is restarted. SIGTERM or Ctrl-C finishes the
    events in progress; a second signal stops at once.

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
    log, exports = LogOptions(log_format, log_level), is_exporting(otel, os.environ)
    # A faulty name or URL would fail in every worker: report it once, before any starts.
    loaded = load_system(system, backend)
    for issue in loaded.check():
        log.report(f"check: {issue}", logging.WARNING)
    async with Client(loaded, open_backend(backend)) as client:
        await client.record("arvo.run")
        await client.depth()
    supervisor = Supervisor(
        system, backend, workers, shutdown_timeout, hang_timeout, log=log, otel=exports
    )
    async with nullcontext() if health is None else _serve_health(supervisor, health):
        return await supervisor.work()


def _serve_health(supervisor: Supervisor, address: str) -> AbstractAsyncContextManager[None]:
    with naming_extra("--health"):
        from arvo.cli.process.health import serve_health
        from arvo.cli.process.listen import listen
    return serve_health(supervisor, listen(address))


async def upgrade(
    *, backend: Url, sql: Annotated[bool, Parameter(negative="")] = False, output: Output = TEXT
) -> None:
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
        script = postgres.migration_script(backend).rstrip()
        output.show({"sql": script}, script)
        return
    made = await postgres.upgrade(backend)
    output.show({"applied": made}, f"applied migrations: {made}" if made else "nothing to do")
