"""Dead letters: the commands that list, group, redrive and delete dead letters."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Final, TypeAlias, final

from attrs import frozen
from cyclopts import App, Parameter

from arvo.cli.terminal.errors import UsageError
from arvo.cli.terminal.events import parse_payload
from arvo.cli.terminal.filters import DEFAULT_BATCH, Batch
from arvo.cli.terminal.load import (
    EMPTY_SYSTEM,
    Reason,
    SystemName,
    Url,
    load_system,
    require_existing,
    user_name,
)
from arvo.cli.terminal.output import TEXT, Output, print_done, print_result
from arvo.cli.terminal.pages import paged
from arvo.cli.terminal.progress import batch_progress
from arvo.core.events.subject import subject_label
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.ports.results import PAGE_MAX, DeadLetterFilters, DeadLetterGroup
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.connection import ActOptions
from arvo.printable import printable

dead_letters_app: Final = App(
    name="dead-letters",
    help="List, group, redrive or delete dead letters: events that could not be handled.",
)


@final
@frozen(kw_only=True)
class _Filters:
    """Which dead letters.

    Parameters
    ----------
    subject
        Only those of one workflow, by its workflow id or subject.
    type
        Only events of this type.
    handler
        Only those for the handler at this address.
    cause
        Only those with this cause, as `arvo dead-letters groups` prints it.
    text
        Only those whose cause contains this text.
    since
        Only those of the last so many seconds.
    """

    subject: str | None = None
    type: str | None = None
    handler: str | None = None
    cause: str | None = None
    text: str | None = None
    since: float | None = None

    def select(self) -> DeadLetterFilters:
        """Return them as the client takes them."""
        since = self.since
        return {
            "subject": self.subject,
            "type": self.type,
            "handler": self.handler,
            "cause": self.cause,
            "text": self.text,
            "since": None if since is None else datetime.now(UTC) - timedelta(seconds=since),
        }


Filters: TypeAlias = Annotated[_Filters, Parameter("*")]
ALL: Final = _Filters()


@dead_letters_app.default
async def dead_letters(
    *, filters: Filters = ALL, backend: Url, limit: int = PAGE_MAX, output: Output = TEXT
) -> None:
    """List the dead letters, oldest first."""
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        async for dead_letter in paged(partial(client.dead_letters, **filters.select()), limit):
            output.show(_to_json(dead_letter), _describe(dead_letter))


def _to_json(dead_letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": dead_letter.id,
        "event": dead_letter.event.to_dict(),
        "reason": dead_letter.reason,
        "cause": dead_letter.cause,
        "handler": dead_letter.handler,
        "attempts": dead_letter.attempts,
        "at": dead_letter.at,
    }


def _describe(dead_letter: DeadLetter) -> str:
    event, reason = dead_letter.event, " ".join(dead_letter.reason.split())
    head = f"{dead_letter.id}  {dead_letter.at}  {event.type}, attempts: {dead_letter.attempts}"
    return "\n".join(map(printable, (head, f"  {reason}", f"  {subject_label(event.subject)}")))


@dead_letters_app.command
async def groups(
    *, filters: Filters = ALL, backend: Url, limit: int = PAGE_MAX, output: Output = TEXT
) -> None:
    """Count the dead letters by cause, handler and type of event, the largest group first."""
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        for group in await client.dead_letter_groups(limit=limit, **filters.select()):
            output.show(_group_to_json(group), str(group))


def _group_to_json(group: DeadLetterGroup) -> dict[str, Any]:
    return {
        "cause": group.cause,
        "handler": group.handler,
        "type": group.type,
        "number": group.number,
        "first": group.first.isoformat(timespec="milliseconds"),
        "last": group.last.isoformat(timespec="milliseconds"),
    }


@dead_letters_app.command
async def redrive(
    id: str | None = None,  # noqa: A002 - short for a shell
    /,
    *,
    filters: Filters = ALL,
    batch: Batch = DEFAULT_BATCH,
    reason: Reason = "",
    output: Output = TEXT,
    data: str | None = None,
    system: SystemName | None = None,
    backend: Url,
) -> int:
    """Redrive one dead letter, or those that filters select: send their events again.

    Exit code 1 if some were refused.

    Parameters
    ----------
    data
        A payload in the place of that of the event, as JSON; needs --system.
    system
        The system, needed if no handler had the event's address.
    """
    selected = _require_one(id, filters, is_every=batch.every)
    act: ActOptions = {"actor": user_name(), "reason": reason}
    loaded = EMPTY_SYSTEM if system is None else load_system(system, backend)
    payload = None if data is None else parse_payload(data)
    async with Client(loaded, require_existing(backend)) as client:
        if id is not None:
            await client.redrive_dead_letter(id, data=payload, **act)
            return print_done(output)
        if payload is not None:
            raise UsageError("--data: expected the id of one dead letter")
        with batch_progress() as show:
            result = await client.redrive_dead_letters(
                dry_run=batch.dry_run, limit=batch.limit, on_progress=show, **act, **selected
            )
        return print_result(result, output)


@dead_letters_app.command
async def delete(
    id: str | None = None,  # noqa: A002 - short for a shell
    /,
    *,
    filters: Filters = ALL,
    batch: Batch = DEFAULT_BATCH,
    reason: Reason = "",
    output: Output = TEXT,
    backend: Url,
) -> int:
    """Delete one dead letter, or those that filters select."""
    selected = _require_one(id, filters, is_every=batch.every)
    act: ActOptions = {"actor": user_name(), "reason": reason}
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        if id is not None:
            await client.delete_dead_letter(id, **act)
            return print_done(output)
        with batch_progress() as show:
            result = await client.delete_dead_letters(
                dry_run=batch.dry_run, limit=batch.limit, on_progress=show, **act, **selected
            )
        return print_result(result, output)


def _require_one(id_: str | None, filters: _Filters, *, is_every: bool) -> DeadLetterFilters:
    """Return the filters; raise `UsageError` for a command that names none, or both."""
    if (id_ is not None) + (filters != ALL) + is_every != 1:
        raise UsageError("expected the ID of a dead letter, or filters such as --cause, or --all")
    return filters.select()
