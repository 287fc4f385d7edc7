"""Dead letters: the commands that list, group, redrive and delete dead letters."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeAlias, final

from attrs import frozen
from cyclopts import App, Parameter

from arvo.cli.load import (
    EMPTY_SYSTEM,
    AsJson,
    SystemName,
    Url,
    load_system,
    require_existing,
)
from arvo.cli.output import print_json, print_line
from arvo.core.events.subject import subject_label
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.ports.results import PAGE_MAX, DeadLetterFilters, DeadLetterGroup
from arvo.interpreters.runtime.client import Client
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
    *, filters: Filters = ALL, backend: Url, limit: int = PAGE_MAX, json: AsJson = False
) -> None:
    """List the dead letters, oldest first.

    Parameters
    ----------
    json
        Print one dead letter a line, as JSON.
    """
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        remaining, last, selected = limit, None, filters.select()
        while remaining > 0 and (
            page := await client.dead_letters(
                after=last, limit=min(remaining, PAGE_MAX), **selected
            )
        ):
            for dead_letter in page:
                print_json(_to_json(dead_letter)) if json else print_line(_describe(dead_letter))
            remaining, last = remaining - len(page), page[-1]


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
    *, filters: Filters = ALL, backend: Url, limit: int = PAGE_MAX, json: AsJson = False
) -> None:
    """Count the dead letters by cause, handler and type of event, the largest group first.

    Parameters
    ----------
    json
        Print one group a line, as JSON.
    """
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        for group in await client.dead_letter_groups(limit=limit, **filters.select()):
            print_json(_group_to_json(group)) if json else print_line(str(group))


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
async def redrive(id: str, /, *, backend: Url, system: SystemName | None = None) -> None:  # noqa: A002
    """Redrive a dead letter: send its event again.

    Parameters
    ----------
    system
        The system, needed if no handler had the event's address.
    """
    loaded = EMPTY_SYSTEM if system is None else load_system(system, backend)
    async with Client(loaded, require_existing(backend)) as client:
        await client.redrive_dead_letter(id)


@dead_letters_app.command
async def delete(id: str, /, *, backend: Url) -> None:  # noqa: A002
    """Delete a dead letter."""
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        await client.delete_dead_letter(id)
