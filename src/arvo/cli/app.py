"""App: the commands of `arvo`."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeAlias

from cyclopts import App, Parameter

from arvo.cli.errors import TOLD, Mistake, line_of
from arvo.cli.events import intake
from arvo.cli.heartbeat import HUNG_SECONDS, HUNG_SECONDS_MIN
from arvo.cli.load import existing, load_system
from arvo.cli.output import say, say_json, tell
from arvo.cli.supervisor import Crew
from arvo.core.record import Status
from arvo.engine.system.system import System
from arvo.interpreters.ports.backend import PAGE_MAX
from arvo.interpreters.runtime.backends import connect
from arvo.interpreters.runtime.client import Client

# Whoever sends from a shell and does not say who they are.
SHELL: Final = "arvo.cli.shell"
WORKERS_MAX: Final = 256
NOBODY: Final = System(())

Url: TypeAlias = Annotated[str, Parameter(env_var="ARVO_BACKEND", help="Such as sqlite:///file.db")]
Named: TypeAlias = Annotated[str, Parameter(help="package.module:attribute")]
AsJson: TypeAlias = Annotated[bool, Parameter("--json", negative="")]

app = App(name="arvo", help="Run a system of event handlers and workflows, and look after it.")
letters = App(name="dead-letters", help="List, retry or drop the events that nobody could take.")
app.command(letters)


def started(tokens: Sequence[str]) -> int:
    """Run a command; a mistake is told in one line, and gives exit code 2."""
    try:
        done = app(
            list(tokens), exit_on_error=False, print_error=False, result_action="return_value"
        )
    except TOLD as error:
        tell(line_of(error))
        return 2
    except KeyboardInterrupt:
        return 130
    return done if isinstance(done, int) else 0


@app.command
async def run(
    system: Named,
    /,
    *,
    backend: Url,
    workers: int = 1,
    grace: float = 30.0,
    health: str | None = None,
    hung: float = HUNG_SECONDS,
) -> int:
    """Run a system in one or more processes until told to stop.

    SYSTEM is a System, or a function from the backend's URL to a Runtime. A process that dies is
    started again. SIGTERM or Ctrl-C: finish what is in hand; a second time: stop at once.

    Parameters
    ----------
    workers
        How many processes.
    grace
        Seconds that handlers may take to finish.
    health
        HOST:PORT or :PORT, where /live and /ready say how the workers are.
    hung
        Seconds without a sign of life after which a process is killed, and started again.
    """
    if not 1 <= workers <= WORKERS_MAX:
        raise Mistake(f"--workers: expected 1 to {WORKERS_MAX}, got {workers}")
    if hung < HUNG_SECONDS_MIN:
        raise Mistake(f"--hung: expected {HUNG_SECONDS_MIN:g} or more, got {hung:g}")
    if workers > 1 and backend.startswith("memory:"):
        raise Mistake("memory: lives in one process: expected another backend, or --workers 1")
    # What is wrong is wrong in every process: better told once, before any is started.
    async with Client(load_system(system, backend), backend) as desk:
        await desk.record("arvo.run")
        await desk.depth()
    crew = Crew(system, backend, workers, grace, hung)
    async with nullcontext() if health is None else _answering(crew, health):
        return await crew.work()


def _answering(crew: Crew, address: str) -> AbstractAsyncContextManager[None]:
    try:
        from arvo.cli.health import answering, listen
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise Mistake("--health needs an extra: pip install 'arvo[http]'") from error
    return answering(crew, listen(address))


@app.command
async def send(
    system: Named,
    events: str = "-",
    /,
    *,
    backend: Url,
    type: str | None = None,  # noqa: A002 - the wire's word
    source: str = SHELL,
) -> None:
    """Send events to a system; all are looked at before any is sent.

    EVENTS is a file of JSON, or - for the standard input: an event, a list, or one in each line.

    Parameters
    ----------
    type
        They are payloads, of events of this type.
    source
        Where answers to payloads go.
    """
    loaded = load_system(system, backend)
    found = intake(loaded, events, type, source)
    async with Client(loaded, backend) as desk:
        for event in found:
            desk.check(event)
        for event in found:
            await desk.send(event)
            say(f"{event.id}  {event.type}  {event.subject}")


@app.command
async def workflows(
    *,
    backend: Url,
    status: Status | None = None,
    type: str | None = None,  # noqa: A002 - the wire's word
    quiet: float | None = None,
    limit: int = PAGE_MAX,
    json: AsJson = False,
) -> None:
    """List workflows, the one that changed last first.

    Parameters
    ----------
    status
        Those that are active, done, failed or cancelled.
    type
        Those of one workflow, such as arvo.orc.order.
    quiet
        Those that have not changed for so many seconds.
    json
        A record in each line.
    """
    since = None if quiet is None else datetime.now(UTC) - timedelta(seconds=quiet)
    async with Client(NOBODY, existing(backend)) as desk:
        left, last = limit, None
        while left > 0 and (
            page := await desk.workflows(
                status=status,
                type=type,
                unchanged_since=since,
                after=last,
                limit=min(left, PAGE_MAX),
            )
        ):
            for kept in page:
                say_json(kept.record.to_dict()) if json else say(str(kept))
            left, last = left - len(page), page[-1]


@app.command
async def show(subject: str, /, *, backend: Url) -> None:
    """Show how a workflow stands: what it waits for and since when, and what went wrong."""
    async with Client(NOBODY, existing(backend)) as desk:
        say(str(await desk.describe(subject)))


@app.command
async def history(subject: str, /, *, backend: Url, json: AsJson = False) -> None:
    """Show every event that a workflow has consumed and produced, in order.

    Parameters
    ----------
    json
        A line of the history in each line, with the event.
    """
    async with Client(NOBODY, existing(backend)) as desk:
        for line in await desk.history(subject):
            if json:
                say_json(line.to_dict())
            else:
                say(str(line))


@app.command
async def cancel(system: Named, subject: str, /, *, reason: str, backend: Url) -> None:
    """Cancel a workflow and its children; it undoes what it did."""
    async with Client(load_system(system, backend), existing(backend)) as desk:
        await desk.cancel(subject, reason)


@app.command
async def revive(system: Named, subject: str, /, *, backend: Url, undone: bool = False) -> None:
    """Let a failed workflow go on from its last good record.

    Parameters
    ----------
    undone
        Also where the failure has undone what it did.
    """
    async with Client(load_system(system, backend), existing(backend)) as desk:
        record = await desk.revive(subject, undone=undone)
        say(f"{record.handler} {record.version} goes on, revision {record.revision}")


@letters.default
async def dead_letters(*, backend: Url, json: AsJson = False) -> None:
    """List the dead letters, oldest first."""
    async with Client(NOBODY, existing(backend)) as desk:
        for dead_letter in await desk.dead_letters():
            if json:
                say_json(
                    {
                        "id": dead_letter.id,
                        "event": dead_letter.event.to_dict(),
                        "reason": dead_letter.reason,
                        "attempts": dead_letter.attempts,
                        "at": dead_letter.at,
                    }
                )
            else:
                say(
                    f"{dead_letter.id}  {dead_letter.at}  {dead_letter.event.type}, "
                    f"attempts: {dead_letter.attempts}\n"
                    f"  {line_of(Mistake(dead_letter.reason))}\n  {dead_letter.event.subject}"
                )


@letters.command
async def retry(id: str, /, *, backend: Url, system: Named | None = None) -> None:  # noqa: A002
    """Send a dead letter's event again.

    Parameters
    ----------
    system
        Needed where nobody had the event's address.
    """
    loaded = NOBODY if system is None else load_system(system, backend)
    async with Client(loaded, existing(backend)) as desk:
        await desk.redrive_dead_letter(id)


@letters.command
async def drop(id: str, /, *, backend: Url) -> None:  # noqa: A002
    """Forget a dead letter."""
    async with Client(NOBODY, existing(backend)) as desk:
        await desk.delete_dead_letter(id)


@app.command
async def upgrade(*, backend: Url, sql: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Make or upgrade a backend's tables, where the URL of its workers says migrate=no.

    Parameters
    ----------
    sql
        Change nothing, and print what would be run on an empty database.
    """
    if backend.partition(":")[0] not in {"postgres", "postgresql"}:
        raise Mistake("only Postgres is upgraded by hand: others are by whoever opens them")
    connect(backend)  # says what is wrong with the URL, or which driver is missing
    from arvo.interpreters.postgres import script, upgraded

    if sql:
        say(script(backend).rstrip())
        return
    made = await upgraded(backend)
    say(f"versions made: {made}" if made else "nothing to do")
