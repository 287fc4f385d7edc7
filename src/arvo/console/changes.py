"""Changes: tells open pages which workflows have changed, by server-sent events."""

import asyncio
import secrets
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

# One look at the backend for all open pages of a process: at the workflow that changed last.
POLL_SECONDS: Final = 0.5
# A page is read again with each change, and a busy system changes all the time.
CHANGE_SECONDS: Final = 2.0
# Clocks of workers differ, so a change may be listed below an older one.
COMPARE_SECONDS: Final = 10.0
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

    A page has the id of the last change before it was read, by `mark`, and asks for those that
    follow: what changes between its reading and its first question is not lost. *handled*: see
    `Extension.changed`.
    """

    client: Client
    poll_seconds: float = POLL_SECONDS
    change_seconds: float = CHANGE_SECONDS
    handled: Callable[[], Collection[str]] = tuple
    # Numbers begin anew with the process, so the ids of another one are of no use here.
    _process: str = field(factory=lambda: secrets.token_hex(4), init=False)
    _remembered: deque[Change] = field(factory=lambda: deque(maxlen=REMEMBERED_MAX), init=False)
    _revisions: dict[str, int] | None = field(default=None, init=False)
    _newest: tuple[str, int] | None = field(default=None, init=False)
    _compared_at: float = field(default=0.0, init=False)
    _can_list: bool = field(default=True, init=False)
    _number: int = field(default=0, init=False)
    _pages: int = field(default=0, init=False)
    _polling: "asyncio.Task[None] | None" = field(default=None, init=False)
    _news: asyncio.Condition = field(factory=asyncio.Condition, init=False)

    async def mark(self) -> str | None:
        """Return the id of the last change; None where the backend cannot list workflows."""
        if self._polling is None and self._can_list:
            await self._look()
        return f"{self._process}-{self._number}" if self._can_list else None

    async def respond(self, request: Request) -> Response:
        """Stream the changes after the last one that a page knows, by its id."""
        if self._pages >= PAGES_MAX:
            return Response("too many pages watch", 429, {"retry-after": "30"})
        # A browser that connects again sends the header.
        asked = request.query_params.get("after", "")
        after = self._number_of(request.headers.get("last-event-id") or asked)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self.stream(after), 200, headers, "text/event-stream")

    def _number_of(self, id_: str) -> int | None:
        """Return the number of a change that a page knows; None if others cannot be told apart."""
        process, _, digits = id_.partition("-")
        is_number = digits.isascii() and digits.isdigit() and len(digits) <= _NUMBER_DIGITS_MAX
        if process != self._process or not is_number or int(digits) > self._number:
            return None
        oldest = self._remembered[0].number if self._remembered else 1
        return int(digits) if int(digits) >= oldest - 1 else None

    async def stream(self, after: int | None) -> AsyncGenerator[bytes, None]:
        """Yield each change after a number as a server-sent event, and comments in between.

        None: first a change of unknown workflows.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + STREAM_SECONDS_MAX
        self._pages += 1
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll(), name="arvo console changes")
        try:
            yield b"retry: 3000\n\n"
            if after is None:
                after = self._number
                yield self._write(Change(after, ()))
            while loop.time() < end:
                for change in [it for it in self._remembered if it.number > after]:
                    after = change.number
                    yield self._write(change)
                if not await self._wait(after):
                    yield b": no news\n\n"
            # Otherwise the page takes the end for a server that is gone.
            yield b"event: end\ndata: 0\n\n"
        finally:
            self._pages -= 1
            if not self._pages and self._polling is not None:
                self._polling.cancel()
                self._polling = None

    def _write(self, change: Change) -> bytes:
        data, id_ = orjson.dumps(change.workflows).decode(), f"{self._process}-{change.number}"
        return f"id: {id_}\nevent: changed\ndata: {data}\n\n".encode()

    async def _wait(self, after: int) -> bool:
        """Wait for a change after a number; return False if none came for a while."""
        try:
            async with asyncio.timeout(KEEP_ALIVE_SECONDS), self._news:
                await self._news.wait_for(lambda: self._number > after)
        except TimeoutError:
            return False
        return True

    async def _poll(self) -> None:
        while self._can_list:
            before = self._number
            await self._look()
            async with self._news:
                self._news.notify_all()
            is_changed = self._number > before
            await asyncio.sleep(self.change_seconds if is_changed else self.poll_seconds)

    async def _look(self) -> None:
        """Compare the workflows with those of the look before, where the newest one differs."""
        now, handled = asyncio.get_running_loop().time(), self.handled()
        try:
            newest = await self.client.workflows(limit=1)
            key = (newest[0].record.subject, newest[0].record.revision) if newest else None
            is_due = self._revisions is None or now - self._compared_at >= COMPARE_SECONDS
            if handled or is_due or key != self._newest:
                self.compare(await self.client.workflows(), handled)
                self._newest, self._compared_at = key, now
        except Violated:
            self._can_list = False  # pages are read again by hand
        except (Unavailable, Corrupt):
            # The next look may find it again; then nothing is known of what it had before.
            self._revisions = self._revisions or {}

    def compare(self, newest: Sequence[StoredWorkflow], handled: Collection[str] = ()) -> None:
        """Remember which of the workflows that changed last differ from the look before.

        *handled*: subjects of which events were handled since.
        """
        now = {it.record.subject: it.record.revision for it in newest}
        before, self._revisions = self._revisions, now
        if before is None:
            return  # no page was read before this look
        differing = (it for it in now if before.get(it) != now[it])
        changed = tuple(dict.fromkeys((*differing, *handled)))
        if changed:
            self._number += 1
            self._remembered.append(Change(self._number, tuple(map(digest_of, changed))))
