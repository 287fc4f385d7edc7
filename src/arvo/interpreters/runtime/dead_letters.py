"""Dead letters: the part of a client that lists, groups, redrives and deletes dead letters."""

from typing import Unpack

from arvo.core.events.uri import is_uri
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.ports.messages import DeadLetter, Message
from arvo.interpreters.ports.observer import send_again
from arvo.interpreters.ports.results import PAGE_MAX, DeadLetterFilters, DeadLetterGroup
from arvo.interpreters.runtime.connection import Connection
from arvo.interpreters.runtime.lookup import find_subject


class DeadLetterClient(Connection):
    """Lists, groups, redrives and deletes dead letters."""

    async def dead_letters(
        self,
        *,
        after: DeadLetter | None = None,
        limit: int = PAGE_MAX,
        **filters: Unpack[DeadLetterFilters],
    ) -> tuple[DeadLetter, ...]:
        """List at most *limit* events that could not be processed, oldest first.

        *after*: the last dead letter of the previous page; it may have been deleted since.
        *subject*: only those of this workflow, by its workflow id or subject. *type*: only events
        of this type. *handler*: only those that were for the handler at this address; "" for those
        that were for none. *cause*: only those with this `DeadLetter.cause`. *text*: only those
        whose cause contains this text. *since*: only those that were stored then or later.
        """
        selected = await self._select(filters)
        if selected is None:
            return ()
        return await self._backend.dead_letters(after=after, limit=limit, **selected)

    async def dead_letter_groups(
        self, *, limit: int = PAGE_MAX, **filters: Unpack[DeadLetterFilters]
    ) -> tuple[DeadLetterGroup, ...]:
        """Count dead letters in groups with the same cause, handler and type of event.

        The *limit* largest groups, the largest first. *filters*: those of `dead_letters`.
        """
        selected = await self._select(filters)
        if selected is None:
            return ()
        return await self._backend.dead_letter_groups(limit=limit, **selected)

    async def _select(self, filters: DeadLetterFilters) -> DeadLetterFilters | None:
        """Return the filters for the backend, None if they can select nothing."""
        texts = (filters.get("handler"), filters.get("type"), filters.get("cause"))
        # A cause is printable. A database refuses some texts that are not, and none has them.
        if not all((text or "").isprintable() for text in (*texts, filters.get("text"))):
            return None
        subject = filters.get("subject")
        if subject is None:
            return filters
        subject = await find_subject(self._backend, subject)
        return {**filters, "subject": subject} if is_uri(subject) else None

    async def redrive_dead_letter(self, id: str) -> None:  # noqa: A002 - as `DeadLetter.id`
        """Send the event of a dead letter again, and delete the dead letter.

        Raises `Violated` if there is no dead letter with that *id*, or no handler for its event.
        """
        with self._operating("redrive") as operation:
            dead_letter = await self._backend.find_dead_letter(id) if id.isprintable() else None
            if dead_letter is None:
                raise _dead_letter_not_found(id)
            to = dead_letter.to or self._destination(dead_letter.event)
            event = send_again(dead_letter.event, operation, dead_letter.event)
            if not await self._backend.redrive(id, [Message(event, to)]):
                raise _dead_letter_not_found(id)

    async def delete_dead_letter(self, id: str) -> None:  # noqa: A002 - as `DeadLetter.id`
        """Delete a dead letter; raises `Violated` if there is none with that *id*."""
        with self._operating("delete"):
            if not id.isprintable() or not await self._backend.redrive(id, []):
                raise _dead_letter_not_found(id)


def _dead_letter_not_found(id_: str) -> Violated:
    issue = Issue("id", "the id of a dead letter (see dead_letters)", repr(id_))
    return Violated(ConfigViolation("there is no such dead letter", issue))
