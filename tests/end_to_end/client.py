"""Client: sends the events of all workflows, and reads at the end what the backend holds."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from attrs import define, field, frozen

from arvo import Backend, Client, Unavailable
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.runtime.backends import backend_from_url
from tests.end_to_end.book import Book
from tests.end_to_end.plan import Run
from tests.end_to_end.system import Code, make_systems, order

POLL_SECONDS = 0.02
# Reads that run at the same time.
CONCURRENCY = 16


async def _perform(run: int, key: str) -> str:
    raise AssertionError("a sender makes no calls")


system = make_systems(Code(_perform, _perform, lambda *_: None))["new"]


@define(eq=False)
class Sender:
    """Sends to the backend of a URL. *may_send*: whether an event of a workflow, given by its key,
    may be sent by now.

    *ended*: set if the test gives up.
    """

    url: str
    book: Book
    may_send: Callable[[Run, str], bool]
    ended: threading.Event = field(factory=threading.Event)

    def send_all(self, runs: Sequence[Run]) -> None:
        """Send the events of all workflows."""
        asyncio.run(self._send_all(runs))

    async def _send_all(self, runs: Sequence[Run]) -> None:
        backend = backend_from_url(self.url)
        async with asyncio.TaskGroup() as sends:
            for run in runs:
                await self._wait(run, "begin")
                sends.create_task(self._send(backend, run))
        await backend.close()

    async def _send(self, backend: Backend, run: Run) -> None:
        for key, event in run.events():
            # To the backend: a `Client` gives each cancellation an id of its own.
            to = ToHandler(str(event.to), event.subject if event.to == order.type else None)
            await self._wait(run, key)
            for _ in range(run.copies.get(key, 1)):
                while not self.ended.is_set():
                    with suppress(Unavailable):
                        await backend.send(Message(event, to))
                        self.book.write("sent", run.number, key)
                        break
                    await asyncio.sleep(POLL_SECONDS)

    async def _wait(self, run: Run, key: str) -> None:
        while not self.ended.is_set() and not self.may_send(run, key):  # noqa: ASYNC110 - a file
            await asyncio.sleep(POLL_SECONDS)


@frozen
class DeadEvent:
    """A dead letter: the id of its event, its number of *attempts* and its *reason*."""

    event: str
    attempts: int
    reason: str


@frozen
class Final:
    """The state of the backend. *statuses*: of each workflow, None where it has no record.

    *consumed* and *produced*: the ids of the events in the history of a workflow, where the backend
    stores one. *under_way*: messages that wait or are being processed.
    """

    statuses: Mapping[int, str | None]
    dead_letters: Sequence[DeadEvent] = ()
    consumed: Mapping[int, Sequence[str]] = {}
    produced: Mapping[int, Sequence[str]] = {}
    under_way: int = 0


async def read_final(client: Client, runs: Sequence[Run]) -> Final:
    """Read the state of a backend."""
    limit = asyncio.Semaphore(CONCURRENCY)

    async def read(run: Run) -> tuple[int, str | None, list[str], list[str]]:
        async with limit:
            record = await client.record(run.subject)
            history = await client.history(run.subject)
        ids: dict[str, list[str]] = {"consumed": [], "produced": []}
        for entry in history:
            if entry.event is not None and entry.kind in ids:
                ids[entry.kind].append(f"{entry.event.source} {entry.event.id}")
        return run.number, record and record.status, ids["consumed"], ids["produced"]

    workflows = await asyncio.gather(*map(read, runs))
    dead = [
        DeadEvent(dead_letter.event.id, dead_letter.attempts, dead_letter.reason)
        for dead_letter in await client.dead_letters()
    ]
    return Final(
        statuses={number: status for number, status, _, _ in workflows},
        dead_letters=dead,
        consumed={number: ids for number, _, ids, _ in workflows},
        produced={number: ids for number, _, _, ids in workflows},
        under_way=(await client.depth()).total,
    )


async def is_settled(client: Client, dead_letters: int) -> bool:
    """Return whether no event is under way, and as many dead letters are there as are expected."""
    try:
        return not (await client.depth()).total and len(await client.dead_letters()) >= dead_letters
    except Unavailable:
        return False
