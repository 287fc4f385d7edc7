"""Poison: an event that ends each process that handles it ends as a dead letter, and no other."""

import asyncio
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from arvo import Client, DeadLetter, Event, Unavailable
from tests import servers
from tests.forked import Forked
from tests.interpreters.postgres.schemas import schema_url
from tests.processes.poison import (
    ADDS,
    add_event,
    begin_event,
    open_backend,
    run_worker,
    system,
)
from tests.processes.workers import TIMEOUT_SECONDS

# The attempts of the default policy.
ATTEMPTS = 5
GOOD = 20
# The second one is ready when the first one ends.
WORKERS = 2
# Far more than the poison of one test ends.
PROCESSES_MAX = 60


@define
class Respawned:
    """Worker processes on a backend; each that ends is followed by another one."""

    url: str
    number: int
    ends: int = field(default=0, init=False)
    _running: list[Forked] = field(factory=list, init=False)

    def respawn(self) -> None:
        """Start a process for each that has ended."""
        for process in list(self._running):
            if not process.is_alive():
                assert process.status == 1, "no handler ends it in another way"
                self._running.remove(process)
                self.ends += 1
        assert self.ends < PROCESSES_MAX
        while len(self._running) < self.number:
            self._running.append(Forked.start(run_worker, self.url))

    def kill(self) -> None:
        """Kill the processes that run."""
        for process in self._running:
            process.signal(signal.SIGKILL)
            process.wait()


def process_all(
    url: str, events: Sequence[Event[Any]], good: Iterable[int], *, dead: int
) -> tuple[Sequence[DeadLetter], int]:
    """Send events, and run workers until *good* workflows are done and *dead* events are dead.

    Returns the dead letters, and how many processes ended.
    """
    workers = Respawned(url, WORKERS)

    async def go() -> Sequence[DeadLetter]:
        async with Client(system, open_backend(url)) as client:
            for event in events:
                await client.send(event)
            waiting = list(good)
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while True:
                    workers.respawn()
                    try:
                        waiting = [run for run in waiting if not await is_done(client, run)]
                        dead_letters = await client.dead_letters()
                        if not waiting and len(dead_letters) >= dead:
                            return dead_letters
                    except Unavailable:
                        pass
                    await asyncio.sleep(0.05)

    try:
        return asyncio.run(go()), workers.ends
    finally:
        workers.kill()


async def is_done(client: Client, run: int) -> bool:
    record = await client.record(begin_event(run).subject)
    return record is not None and record.status == "done"


def check_poison(url: str, how: str, *, copies: int = 0) -> None:
    """Send a poison event between good ones.

    *copies*: how many more of it may be published before a death of it was counted, and so end a
    process as the first one does.
    """
    good = range(GOOD)
    events = [begin_event(run) for run in good[: GOOD // 4]]
    events.append(begin_event(100, how))
    events += [begin_event(run) for run in good[GOOD // 4 :]]

    dead_letters, ends = process_all(url, events, good, dead=1)

    [dead_letter] = dead_letters
    assert dead_letter.reason == f"its worker died {ATTEMPTS} times"
    assert dead_letter.attempts == ATTEMPTS
    assert dead_letter.event.data["number"] == 100
    # A handler in the chain of the event before it ends the process with that one in hand,
    # so one death counts for the other event.
    more = 1 if how == "handler" else 0
    # The first death may be that of a process that had only fetched the event.
    assert ATTEMPTS - 1 <= ends <= ATTEMPTS + more + copies


def check_signals(url: str) -> None:
    """Send a poison signal before the good signals of the same workflow."""
    signals = [add_event(7, each) for each in range(1, ADDS + 1)]
    events = [begin_event(7, "adds"), add_event(7, 9, "handler"), *signals, begin_event(8)]

    dead_letters, ends = process_all(url, events, [7, 8], dead=1)

    assert [dead_letter.event.id for dead_letter in dead_letters] == ["add-7-9handler"]
    assert dead_letters[0].reason == f"its worker died {ATTEMPTS} times"
    assert ends in (ATTEMPTS - 1, ATTEMPTS)


@pytest.mark.promise("I11")
@pytest.mark.parametrize("how", ["handler", "effect", "listener"])
def test_a_poison_event_on_sqlite(how: str, tmp_path: Path) -> None:
    """Whichever code it is that ends the process."""
    check_poison(f"sqlite:///{tmp_path}/a.db", how)


@pytest.mark.promise("I11")
def test_a_poison_signal_on_sqlite(tmp_path: Path) -> None:
    """The events behind it of the same workflow are handled."""
    check_signals(f"sqlite:///{tmp_path}/a.db")


@pytest.mark.promise("I11")
def test_a_poison_event_on_postgres(tmp_path: Path) -> None:
    """The server notices the death of a worker at once."""
    check_poison(schema_url(tmp_path), "handler")


@pytest.mark.promise("I11")
def test_a_poison_signal_on_postgres(tmp_path: Path) -> None:
    """The events behind it of the same workflow are handled."""
    check_signals(schema_url(tmp_path))


@pytest.mark.promise("I11")
def test_a_poison_event_on_nats() -> None:
    """The server delivers again what a process had for as long as `ack_wait`."""
    server = servers.nats()
    server.start()
    try:
        check_poison(f"{server.url}?prefix=poison&ack_wait=2", "handler")
    finally:
        server.stop()


@pytest.mark.promise("I11")
def test_a_poison_event_on_redis() -> None:
    """A process that has ended no longer renews its lease."""
    server = servers.redis()
    server.start()
    try:
        check_poison(server.url, "handler")
    finally:
        server.stop()


@pytest.mark.promise("I11")
@pytest.mark.skipif(not servers.has_rabbit(), reason="no RabbitMQ on this machine")
def test_a_poison_event_on_rabbit(tmp_path: Path) -> None:
    """The server takes back what a connection had that is gone, and the acks just before, too."""
    server = servers.rabbit()
    server.start()
    try:
        check_poison(f"{schema_url(tmp_path)} {server.url}", "handler", copies=1)
    finally:
        server.stop()


@pytest.mark.deep
@pytest.mark.promise("I11")
def test_a_poison_event_on_kafka(tmp_path: Path) -> None:
    """Slow, because each death is noticed by a timeout and then the group forms anew."""
    settings = "session.timeout.ms=6000&heartbeat.interval.ms=1000"
    check_poison(f"{schema_url(tmp_path)} {servers.kafka_url()}?{settings}", "handler")
