"""Slices: the turns of a history between two points, replayed in a thread."""

import asyncio
from collections.abc import Sequence
from typing import Final, final

from attrs import evolve, frozen

from arvo.console.views.workflow.travel import Moment, moments_of
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.engine.history.replay import ReplayedTurn, replay
from arvo.engine.history.typed import typed_entry
from arvo.engine.system.system import System
from arvo.handlers.flow.handler import FlowHandler
from arvo.interpreters.ports.backend import Backend

# A replay of a turn looks at the record that an operator wrote behind it, a few entries away: a
# revival follows the turn that failed. So it sees this part of a page that is not replayed yet.
LOOKAHEAD: Final = 10


@final
@frozen
class Point:
    """A place in a history: the *record* after *revision*, behind which *position* comes.

    *record* is None before the first turn, and where a replay cannot derive it.
    """

    position: int = 0
    revision: int = 0
    record: Record | None = None


@final
@frozen
class Slice:
    """The *moments* between two points, the entries that they come from, and the *turns* again.

    *next*: the point behind them. *is_last*: whether the history ends there.
    """

    moments: tuple[Moment, ...]
    entries: tuple[HistoryEntry, ...]
    turns: tuple[ReplayedTurn, ...]
    next: Point
    is_last: bool


def private_system(system: System) -> System:
    """Return a system of the same code for another thread: flows are cached in their handlers."""
    handlers = [evolve(it) if isinstance(it, FlowHandler) else it for it in system.handlers]
    return System(
        handlers, remote=system.remote, subscriptions=system.subscriptions, stacks=system.stacks
    )


async def read_slice(
    system: System, backend: Backend, stored: Record, start: Point, page: int
) -> Slice:
    """Read and replay about *page* entries behind a point, or those that are left."""
    ahead = max(page // LOOKAHEAD, 1)
    entries, is_last = await _read(backend, stored.subject, start.position, page, ahead)
    if not entries:
        return Slice((), (), (), start, is_last=True)
    until = entries[-1].revision
    if not is_last:
        # The turn to which the looked-at entries belong may not be whole.
        until = entries[-ahead].revision - 1
    return await asyncio.to_thread(_replay, system, entries, stored, start, until, is_last=is_last)


async def _read(
    backend: Backend, subject: str, position: int, page: int, ahead: int
) -> tuple[list[HistoryEntry], bool]:
    """Return entries from a position on, and whether they are the last ones.

    At least one whole turn and those *ahead* of it; retention may have removed the first.
    """
    newest = await backend.history(subject, limit=1)
    end = newest[-1].position + 1 if newest else 0
    entries: list[HistoryEntry] = []
    while position < end and not _has_whole_turn(entries, ahead):
        read = await backend.history(subject, before=position + page, limit=page)
        entries += (it for it in read if it.position >= position)
        position += page
    return entries, position >= end


def _has_whole_turn(entries: Sequence[HistoryEntry], ahead: int) -> bool:
    """Return whether the first turn of *entries* ends before those that only are looked at."""
    return len(entries) > ahead and entries[-ahead].revision > entries[0].revision


def _replay(
    system: System,
    entries: Sequence[HistoryEntry],
    stored: Record,
    start: Point,
    until: int,
    *,
    is_last: bool,
) -> Slice:
    typed = [own_entry(typed_entry(system, entry)) for entry in entries]
    before = []
    if start.record is not None:
        before = [
            HistoryEntry(
                position=start.position,
                revision=start.revision,
                kind="replaced",
                at=typed[0].at,
                record=start.record,
            )
        ]
    replayed = replay(system, [*before, *typed], until=until, record=stored)
    shown = tuple(entry for entry in typed if entry.revision <= until)
    following = Point(shown[-1].position + 1, until, replayed.record)
    return Slice(moments_of(shown, replayed), shown, replayed.turns, following, is_last)


def own_entry(entry: HistoryEntry) -> HistoryEntry:
    """Return an entry whose record no other thread has: one in memory shares its replies."""
    if entry.record is None:
        return entry
    return evolve(entry, record=Record.from_dict(entry.record.to_dict()))
