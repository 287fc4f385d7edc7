"""Harness: runs workflows on several workers under faults, and checks what became of them."""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from attrs import define, field

from arvo import Client
from arvo.interpreters.runtime.backends import backend_from_url
from tests.end_to_end.book import Book, Progress
from tests.end_to_end.checker import Report, check
from tests.end_to_end.client import Final as FinalState
from tests.end_to_end.client import Sender, is_settled, read_final, system
from tests.end_to_end.fleet import Fleet
from tests.end_to_end.places import Place, open_place
from tests.end_to_end.plan import Run, make_plan
from tests.end_to_end.setups import Setup

# How long nothing may happen before what is left counts as stuck: longer than the longest delay of
# a retry, and than a fleet needs to come back on a loaded machine.
STALL_SECONDS: Final = 90.0
POLL_SECONDS: Final = 0.05
# When the first and the last fault happens, as a share of the workflows that have ended.
FIRST, LAST = 0.05, 0.85
# The workflows that may begin beyond those that have ended when the next fault is due.
LEAD: Final = 15
# Faults that happen at the same time.
HARMS: Final = 2


def run_under_faults(setup: Setup, folder: Path) -> Report:
    """Run workflows, and return what the books of the workers and the backend show of them."""
    with open_place(setup.place, folder) as place:
        began = time.monotonic()
        scene = Scene(setup, place, Book(folder / "book.jsonl"))
        final = scene.play()
        seconds = time.monotonic() - began
        return check(
            scene.runs,
            scene.book.read(),
            final,
            is_paired=place.is_paired,
            confirms_acks=place.confirms_acks,
            seconds=seconds,
        )


@define(eq=False)
class Scene:
    """The workers, the sender and the faults of one run."""

    setup: Setup
    place: Place
    book: Book
    runs: Sequence[Run] = field(init=False)
    _chance: random.Random = field(init=False)
    _fleet: Fleet = field(init=False)
    _progress: Progress = field(init=False)
    _sender: Sender = field(init=False)
    _share: float = field(default=0.0, init=False)
    _restarting: threading.Lock = field(factory=threading.Lock, init=False)
    _deployed: threading.Event = field(factory=threading.Event, init=False)

    def __attrs_post_init__(self) -> None:
        setup = self.setup
        self.runs = make_plan(setup.workflows, setup.faults, setup.seed)
        self._chance = random.Random(setup.seed)  # noqa: S311 - no secret
        self._fleet = Fleet(
            self.place.url, self.book, setup.workers, self._chance, setup.faults.outages
        )
        self._progress = Progress(self.book)
        self._sender = Sender(self.place.url, self.book, self._may_send)

    def play(self) -> FinalState:
        """Run it to the end, or until it is stuck; return what the backend holds then."""
        if not self.setup.faults.is_rolling:
            self._deployed.set()
        try:
            self._fleet.open()
            with ThreadPoolExecutor(3) as threads:
                supervising = threads.submit(self._fleet.supervise)
                harming = threads.submit(self._harm)
                sending = threads.submit(self._sender.send_all, self.runs)
                try:
                    asyncio.run(self._wait(supervising, harming, sending))
                finally:
                    self._sender.ended.set()
                    try:
                        harming.result()
                    finally:
                        # Else the threads, and with them the error, would wait for each other.
                        self._fleet.end()
            self._fleet.stop()
            return asyncio.run(self._read())
        finally:
            self._fleet.close()

    async def _wait(self, *working: "Future[None]") -> None:
        """Wait until every workflow has an outcome and no event is under way, or all is stuck."""
        poisoned = sum(run.poison is not None for run in self.runs)
        async with Client(system, backend_from_url(self.place.url)) as client:
            while time.monotonic() - self._progress.changed_at < STALL_SECONDS:
                for each in working:
                    if each.done():
                        each.result()
                is_sent = all(each.done() for each in working[1:])
                are_ended = self._progress.outcomes == len(self.runs)
                if is_sent and are_ended and await is_settled(client, poisoned):
                    return
                await asyncio.sleep(POLL_SECONDS)

    async def _read(self) -> FinalState:
        async with Client(system, backend_from_url(self.place.url)) as client:
            return await read_final(client, self.runs)

    def _may_send(self, run: Run, key: str) -> bool:
        """Return whether an event may be sent.

        A workflow may begin if those before it are ahead enough, and so are the faults that happen
        while it is under way. A signal that ends its process must not wait in the workflow until
        another event leads to it: that would be the one that ends the process.
        """
        if key == "poison" and run.poison == "signal":
            return self._progress.has_ended(run.number, f"mark-{run.poison_before - 1}")
        if key != "begin":
            return True
        if run.version == "2.0.0" and not self._deployed.is_set():
            return False
        is_ahead = run.number < self._progress.outcomes + self.setup.window
        return is_ahead and run.number <= self._share * len(self.runs) + LEAD

    def _harm(self) -> None:
        """Cause the faults, spread over the workflows; at most two at the same time."""
        harms = self._harms()
        with ThreadPoolExecutor(HARMS) as threads:
            free = threading.Semaphore(HARMS)
            working = []
            for number, harm in enumerate(harms):
                self._share = FIRST + (LAST - FIRST) * number / len(harms)
                while self._progress.outcomes < self._share * len(self.runs):
                    if self._sender.ended.wait(POLL_SECONDS):
                        return
                free.acquire()
                working.append(threads.submit(harm))
                working[-1].add_done_callback(lambda _: free.release())
            self._share = 1.0
        for each in working:
            each.result()

    def _harms(self) -> Sequence[Callable[[], None]]:
        faults = self.setup.faults
        harms: list[Callable[[], None]] = [
            *[self._fleet.kill] * faults.kills,
            *[self._freeze] * faults.freezes,
            *[self._fleet.restart] * faults.restarts,
            *[self._restart_server] * (faults.server_restarts if self.place.servers else 0),
        ]
        self._chance.shuffle(harms)
        if faults.is_rolling:
            for number in range(self.setup.workers):
                # The first one early: events of the new version wait for it.
                at = self._chance.randrange(len(harms) + 1) if number else 0
                harms.insert(at, self._deploy)
        return harms

    def _deploy(self) -> None:
        self._fleet.deploy()
        self._deployed.set()

    def _freeze(self) -> None:
        self._fleet.freeze(self.place.freeze_seconds, self.place.may_freeze)

    def _restart_server(self) -> None:
        with self._restarting:
            self.book.write("server down")
            self._chance.choice(self.place.servers).restart()
            self.book.write("server up")
