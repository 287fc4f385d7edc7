"""Walks: the replays that the pages of a console have made, to go on from where they are."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias, final
from weakref import WeakKeyDictionary

from attrs import define, field, frozen

from arvo.console.replay.slices import Point, Slice, private_system, read_slice
from arvo.console.views.workflow.replays import Results
from arvo.console.views.workflow.travel import Moment
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.engine.history.diff import differences
from arvo.engine.system.system import System
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.results import HISTORY_PAGE_MAX
from arvo.interpreters.runtime.client import Client

# Workflows whose replay is kept; one that drops out is replayed anew.
WALKS_MAX: Final = 8
# Slices that are kept of all workflows, and points of one: a record may have some megabytes.
SLICES_MAX: Final = 8
POINTS_MAX: Final = 64
# How long one page lets a replay go on before it shows how far that has come.
REPLAY_SECONDS: Final = 2.0
# Secret texts that one walk remembers, about as many as a page looks for.
SECRETS_MAX: Final = 10_000
# Returns the secret texts of an event.
SecretsOf: TypeAlias = Callable[[Event[Any]], Iterable[str]]


@final
@frozen
class Found:
    """The *moment* of a revision and the record *before* it.

    *path*: the records of the moments before, as far back as they are at hand. *secret*: the secret
    texts of the events up to there. *first*, *last*: the revisions that the history has.
    """

    moment: Moment
    before: Record | None
    path: tuple[Record, ...]
    secret: frozenset[str]
    first: int
    last: int


@final
@frozen
class Replayed:
    """The *results* of all turns.

    *differences*: where the stored record differs from that behind the last turn. *secret*: the
    secret texts of the events.
    """

    results: Results
    differences: tuple[Issue, ...]
    secret: frozenset[str]


@final
@frozen
class Unreached:
    """The replay has come to *revision* and goes on when it is asked again."""

    revision: int


@final
@define(eq=False)
class Walk:
    """The replay of one workflow: the points that it has passed, the last one as far as it is, and
    the results of the turns up to there.
    """

    points: list[Point] = field(factory=lambda: [Point()])
    results: Results = field(factory=Results)
    secret: set[str] = field(factory=set)
    first: int | None = None
    lock: asyncio.Lock = field(factory=asyncio.Lock)

    def pass_slice(self, passed: Slice, secrets_of: SecretsOf) -> None:
        """Go on to the end of a slice, which begins at the last point."""
        for entry in passed.entries:
            if entry.event is not None and len(self.secret) < SECRETS_MAX:
                self.secret.update(secrets_of(entry.event))
        self.results.add(passed.turns)
        if self.first is None and passed.moments:
            self.first = passed.moments[0].revision
        self.points.append(passed.next)
        if len(self.points) > POINTS_MAX:
            # Every other one, and the last one, from which the replay goes on.
            self.points = [*self.points[:-1:2], self.points[-1]]


@final
@define(eq=False)
class Walks:
    """The replays of one client's workflows.

    *seconds*: how long one search goes on before it returns `Unreached`. *page*: entries that are
    read at once.
    """

    system: System
    backend: Backend
    seconds: float = REPLAY_SECONDS
    page: int = HISTORY_PAGE_MAX
    _walks: OrderedDict[str, Walk] = field(factory=OrderedDict, init=False)
    _slices: OrderedDict[tuple[str, int, int], Slice] = field(factory=OrderedDict, init=False)

    async def find(
        self, stored: Record, revision: int | None, secrets_of: SecretsOf
    ) -> Found | Unreached | None:
        """Return the moment of a revision, the last one before it, or how far the replay has come.

        *stored*: the record of the workflow. *revision*: None for the last one. None if there is no
        history.
        """
        wanted = stored.revision if revision is None else max(1, min(revision, stored.revision))
        walk = self._walk(stored)
        async with walk.lock:
            unreached = await self._go_on(stored, walk, wanted, secrets_of)
            return unreached or await self._find(stored, walk, wanted)

    async def replay(self, stored: Record, secrets_of: SecretsOf) -> Replayed | Unreached:
        """Return the results of all turns, or how far the replay has come."""
        walk = self._walk(stored)
        async with walk.lock:
            unreached = await self._go_on(stored, walk, stored.revision, secrets_of)
            if unreached is not None:
                return unreached
            # It is read before the history, which may have grown since.
            last, found = walk.points[-1], tuple[Issue, ...]()
            if last.record is not None and last.revision <= stored.revision:
                contents = stored.to_dict(), last.record.to_dict()
                found = await asyncio.to_thread(differences, "record", *contents)
            return Replayed(walk.results, found, frozenset(walk.secret))

    def _walk(self, stored: Record) -> Walk:
        walk = self._walks.setdefault(stored.subject, Walk())
        self._walks.move_to_end(stored.subject)
        if len(self._walks) > WALKS_MAX:
            self._walks.popitem(last=False)
        return walk

    async def _go_on(
        self, stored: Record, walk: Walk, wanted: int, secrets_of: SecretsOf
    ) -> Unreached | None:
        """Replay up to a revision; return how far it has come where the time was too short."""
        deadline = time.monotonic() + self.seconds
        while walk.points[-1].revision < wanted:
            passed = await self._slice(stored, walk.points[-1])
            if not passed.moments:
                break
            walk.pass_slice(passed, secrets_of)
            if walk.points[-1].revision < wanted and time.monotonic() >= deadline:
                return Unreached(walk.points[-1].revision)
        return None

    async def _find(self, stored: Record, walk: Walk, wanted: int) -> Found | None:
        start = walk.points[0]
        for point in walk.points:
            if point.revision < wanted:
                start = point
        place, found = -1, await self._slice(stored, start)
        while True:
            for number, moment in enumerate(found.moments):
                if moment.revision <= wanted:
                    place = number
            reached = not found.moments or found.moments[-1].revision >= wanted
            if reached or found.is_last:
                break
            start, place, found = found.next, -1, await self._slice(stored, found.next)
        if not found.moments:
            return None
        place = max(place, 0)
        moment = found.moments[place]
        earlier = [it.record for it in found.moments[:place]]
        return Found(
            moment=moment,
            before=earlier[-1] if earlier else start.record,
            path=tuple(record for record in (start.record, *earlier) if record is not None),
            secret=frozenset(walk.secret),
            first=walk.first or moment.revision,
            last=max(stored.revision, moment.revision),
        )

    async def _slice(self, stored: Record, start: Point) -> Slice:
        # The last slice grows with the workflow.
        key = stored.subject, start.revision, stored.revision
        found = self._slices.get(key)
        if found is None:
            system = private_system(self.system)
            found = await read_slice(system, self.backend, stored, start, self.page)
            self._slices[key] = found
            if len(self._slices) > SLICES_MAX:
                self._slices.popitem(last=False)
        return found


_WALKS: Final[WeakKeyDictionary[Client, Walks]] = WeakKeyDictionary()


def walks_of(client: Client) -> Walks:
    """Return the replays of a client's workflows."""
    walks = _WALKS.get(client)
    if walks is None:
        walks = _WALKS[client] = Walks(client.system, client.backend)
    return walks
