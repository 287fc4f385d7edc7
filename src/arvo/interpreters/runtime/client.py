"""Desk: what an operator sees of the workflows in a backend, and does with them."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry
from arvo.core.record import Record, Status
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.history.replay import Replay, replay
from arvo.engine.query import query
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler, Unroutable, route
from arvo.engine.system.system import System
from arvo.engine.workflow_tree import Tree
from arvo.interpreters.paired.backend import Pair
from arvo.interpreters.ports.backend import (
    PAGE_MAX,
    Backend,
    Corrupt,
    DeadLetter,
    Depth,
    Destination,
    Message,
    StoredWorkflow,
    Unavailable,
)
from arvo.interpreters.runtime.backends import connect
from arvo.interpreters.runtime.description import WorkflowDescription, describe
from arvo.interpreters.runtime.operations import (
    cancellation,
    grown,
    lines,
    migrated,
    nothing_remembered,
    remembered,
    revive,
)

# Whoever asks whether it answers shall not wait for an outage to end.
REACH_SECONDS_MAX: Final = 5.0
# A subject that no workflow has.
_ANYTHING: Final = "arvo.reach"


class Client:
    """A system and a backend, to look into and to act on; whoever runs the system there does the
    work.

    *backend*: a URL or a `Backend`. Use it as `async with Client(system, url) as desk`. A `Runtime`
    is a desk that also does the work. To look only, the system may be one of no handlers.
    """

    def __init__(self, system: System, backend: str | Backend) -> None:
        self.system = system
        self._backend = connect(backend)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._backend.close()

    async def send(self, event: Event[Any]) -> None:
        """Take an event from outside; when this returns, it is the backend's.

        Waits while the queue is full. Raises `Violated` where nobody has its address, `TooLarge`
        where the broker takes no event of that size.
        """
        await self._backend.send(Message(event, self._reachable(event)))

    def check(self, event: Event[Any]) -> None:
        """Raise `Violated` where nobody has an event's address, as `send` would."""
        self._reachable(event)

    async def workflows(
        self,
        *,
        status: Status | None = None,
        type: str | None = None,  # noqa: A002 - the wire's word
        unchanged_since: datetime | None = None,
        after: StoredWorkflow | None = None,
        limit: int = PAGE_MAX,
    ) -> tuple[StoredWorkflow, ...]:
        """List workflows, at most *limit*, the one that changed last first.

        *type*: those of one workflow only (`arvo.orc.order.fulfil`). *unchanged_since*: those that
        have not changed since then only, which finds what does not progress. *after*: the last one
        of the page before.
        """
        return await self._backend.workflows(
            status=status,
            handler=type,
            unchanged_since=unchanged_since,
            after=after,
            limit=limit,
        )

    async def describe(self, subject: str) -> WorkflowDescription:
        """Say how a workflow stands: what it waits for and since when, and what went wrong.

        Raises `Violated` where nothing is remembered of it.
        """
        kept = await self._backend.workflow(subject)
        if kept is None:
            raise nothing_remembered(subject)
        history = await self._backend.history(subject)
        return describe(kept, history, await self.dead_letters())

    async def history(self, subject: str) -> tuple[HistoryEntry, ...]:
        """Give every event that a workflow has consumed and produced, in order."""
        told = [line async for line in lines(self._backend, subject)]
        return tuple(reversed(told))

    async def record(self, subject: str) -> Record | None:
        """Give what is remembered of a workflow."""
        return await self._backend.load(subject)

    async def query(self, subject: str) -> Any:
        """Say what a workflow remembers, in the form that its handler gives it (see `arvo.query`).

        Raises `Violated` where nothing is remembered of it, or what is does not fit any more.
        """
        return query(self.system, await remembered(self._backend, subject))

    async def tree(self, subject: str) -> Tree:
        """Give the whole tree of workflows that one belongs to (see `arvo.tree`)."""
        return await grown(self._backend, subject)

    async def cancel(self, subject: str, reason: str) -> None:
        """Cancel a workflow: its last turn, in which it undoes what it did, and cancels its
        children. Whoever began it is told by a system error named `Cancelled`.

        Raises `Violated` where *subject* names no workflow of this system; one that has ended stays
        as it is.
        """
        await self.send(cancellation(self.system, subject, reason))

    async def migrate(
        self, subject: str, *, to: str, state: Callable[[Any], Any] | None = None
    ) -> Record:
        """Move a workflow that is under way to another version (see `arvo.migrate`).

        It acts between two turns: one that is in hand meanwhile is taken again on what it then
        finds. Gives the record as it is now; raises `Violated` where it cannot move.
        """
        return await migrated(self.system, self._backend, subject, to=to, state=state)

    async def revive(self, subject: str, *, undone: bool = False) -> Record:
        """Let a failed workflow go on from its last good record; gives that.

        The event on which it failed is handed to it once more, and its timers are armed again; one
        that was due meanwhile comes at once. What came to it while it had failed is among the dead
        letters, to be retried. Whoever began it was told of the failure and may hear of a
        completion now. Where the failure has sent undos, what they undid stays undone and the
        workflow knows nothing of it: that is refused, unless *undone* says to go on all the same.

        Raises `Violated` where it has not failed, or its history has lost the event.
        """
        return await revive(self.system, self._backend, subject, undone=undone)

    async def replay(
        self,
        subject: str,
        *,
        until: int | datetime | None = None,
        effects: Mapping[Callable[..., Any], Callable[..., Any]] | None = None,
    ) -> Replay:
        """Take a workflow's turns again with this system, without side effects (see
        `arvo.replay`).
        """
        record = await remembered(self._backend, subject)
        history = await self.history(subject)
        return replay(self.system, history, until=until, record=record, effects=effects)

    async def is_reachable(self) -> bool:
        """Tell whether the backend answers now, by asking it something small."""
        try:
            async with asyncio.timeout(REACH_SECONDS_MAX):
                await self._backend.load(_ANYTHING)
                if isinstance(self._backend, Pair):
                    # Its broker is another server. Not of a whole one: that may count for long.
                    await self._backend.depth()
        except (Unavailable, Corrupt, TimeoutError):
            return False
        return True

    async def depth(self) -> Depth:
        """Say how much is under way, in all processes."""
        return await self._backend.depth()

    async def dead_letters(self) -> tuple[DeadLetter, ...]:
        """List the events that nobody could take, oldest first."""
        return await self._backend.dead_letters()

    async def redrive_dead_letter(self, id: str) -> None:  # noqa: A002 - the letter's name
        """Send a dead letter's event again; raises `Violated` where there is no such letter."""
        dead_letter = next((each for each in await self.dead_letters() if each.id == id), None)
        if dead_letter is None:
            raise _no_letter(id)
        to = dead_letter.to or self._reachable(dead_letter.event)
        if not await self._backend.redrive(id, [Message(dead_letter.event, to)]):
            raise _no_letter(id)

    async def delete_dead_letter(self, id: str) -> None:  # noqa: A002 - the letter's name
        """Forget a dead letter; raises `Violated` where there is no such letter."""
        if not await self._backend.redrive(id, []):
            raise _no_letter(id)

    def _reachable(self, event: Event[Any]) -> Destination:
        match route(self.system, event, None):
            case ToHandler() | ToDomain() | ToCaller() as to:
                return to
            case Unroutable():
                known = ", ".join(self.system.addresses) or "none"
                issue = Issue("to", f"the address of a handler ({known})", repr(event.to))
                raise Violated(ConfigViolation(f"nobody can take event {event.id!r}", issue))


def _no_letter(id_: str) -> Violated:
    issue = Issue("id", "the id of a dead letter (see dead_letters)", repr(id_))
    return Violated(ConfigViolation("there is no such dead letter", issue))
