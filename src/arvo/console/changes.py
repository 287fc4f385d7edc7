"""Changes: tells open pages which workflows have changed, by server-sent events."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from typing import Final, final

import orjson
from attrs import define, field, frozen
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from arvo.console.views.data import digest_of
from arvo.core.violations.violation import Violated
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.results import StoredWorkflow
from arvo.interpreters.runtime.client import Client

# One look at the backend for all open pages of a process.
POLL_SECONDS: Final = 2.0
# A proxy closes a connection on which nothing comes, and a browser opens one again that ends.
KEEP_ALIVE_SECONDS: Final = 15.0
STREAM_SECONDS_MAX: Final = 300.0
# The changes that a page which was away can still be told.
REMEMBERED_MAX: Final = 1_000
PAGES_MAX: Final = 200
_NUMBER_DIGITS_MAX: Final = 15


@final
@frozen
class Change:
    """A change: its *number* counts from 1. *workflows*: a digest of the subject of each.

    A page only counts them, and its user may not be allowed to see each of them.
    """

    number: int
    workflows: tuple[str, ...]


@final
@define(eq=False)
class Changes:
    """Finds the workflows that have changed, while pages watch; digests alone leave the server.

    *handled*: see `Extension.changed`.
    """

    client: Client
    poll_seconds: float = POLL_SECONDS
    handled: Callable[[], Collection[str]] = tuple
    _remembered: deque[Change] = field(factory=lambda: deque(maxlen=REMEMBERED_MAX), init=False)
    _revisions: dict[str, int] | None = field(default=None, init=False)
    _number: int = field(default=0, init=False)
    _pages: int = field(default=0, init=False)
    _polling: "asyncio.Task[None] | None" = field(default=None, init=False)
    _news: asyncio.Condition = field(factory=asyncio.Condition, init=False)

    async def respond(self, request: Request) -> Response:
        """Stream the changes after `Last-Event-ID`, or from now on."""
        if self._pages >= PAGES_MAX:
            return Response("too many pages watch", 429, {"retry-after": "30"})
        last = request.headers.get("last-event-id", "")
        is_number = last.isascii() and last.isdigit() and len(last) <= _NUMBER_DIGITS_MAX
        after = min(int(last), self._number) if is_number else self._number
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self.stream(after), 200, headers, "text/event-stream")

    async def stream(self, after: int) -> AsyncGenerator[bytes, None]:
        """Yield each change after a number as a server-sent event, and comments in between."""
        loop = asyncio.get_running_loop()
        end = loop.time() + STREAM_SECONDS_MAX
        self._pages += 1
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll())
        try:
            yield b"retry: 3000\n\n"
            while loop.time() < end:
                for change in [it for it in self._remembered if it.number > after]:
                    after = change.number
                    yield _write(change)
                if not await self._wait(after):
                    yield b": no news\n\n"
        finally:
            self._pages -= 1
            if not self._pages and self._polling is not None:
                self._polling.cancel()
                self._polling = self._revisions = None

    async def _wait(self, after: int) -> bool:
        """Wait for a change after a number; return False if none came for a while."""
        try:
            async with asyncio.timeout(KEEP_ALIVE_SECONDS), self._news:
                await self._news.wait_for(lambda: self._number > after)
        except TimeoutError:
            return False
        return True

    async def _poll(self) -> None:
        while True:
            handled = self.handled()
            try:
                self.compare(await self.client.workflows(), handled)
            except Violated:
                return  # this backend cannot list: pages are read again by hand
            except (Unavailable, Corrupt):
                pass  # the next look may find it again
            async with self._news:
                self._news.notify_all()
            await asyncio.sleep(self.poll_seconds)

    def compare(self, newest: Sequence[StoredWorkflow], handled: Collection[str] = ()) -> None:
        """Remember which of the workflows that changed last differ from the look before.

        *handled*: subjects of which events were handled since.
        """
        now = {it.record.subject: it.record.revision for it in newest}
        before, self._revisions = self._revisions, now
        differing = () if before is None else tuple(it for it in now if before.get(it) != now[it])
        # Those of a first look as well: they may be newer than the page that is open.
        changed = tuple(dict.fromkeys((*differing, *handled)))
        if changed:
            self._number += 1
            self._remembered.append(Change(self._number, tuple(map(digest_of, changed))))


def _write(change: Change) -> bytes:
    data = orjson.dumps(change.workflows).decode()
    return f"id: {change.number}\nevent: changed\ndata: {data}\n\n".encode()
