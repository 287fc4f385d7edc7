"""Writer: units share a transaction, and each is durable or says why not."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from arvo.interpreters.ports.backend import Corrupt, Unavailable
from arvo.interpreters.sqlite.session.writer import Writer, told

T = TypeVar("T")
Connection = sqlite3.Connection


def within(work: Coroutine[Any, Any, T]) -> T:
    async def go() -> T:
        async with asyncio.timeout(10):
            return await work

    return asyncio.run(go())


def nothing(_: Connection) -> None:
    """Tick, and do nothing."""


class File:
    """A file with one table, its writer, and what was said to SQLite."""

    def __init__(
        self, path: Path, tick: Callable[[Connection], None] = nothing, seconds: float = 3600.0
    ) -> None:
        self.path, self.said = path, list[str]()
        self.writer = Writer(self._open, tick, seconds)

    def _open(self) -> Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.execute("create table if not exists line (text)")
        connection.set_trace_callback(self.said.append)
        return connection

    def lines(self) -> list[str]:
        """Give what is durable."""
        connection = sqlite3.connect(self.path)
        try:
            return [text for (text,) in connection.execute("select text from line")]
        finally:
            connection.close()

    def transactions(self) -> list[int]:
        """Say how many lines each transaction has written."""
        found: list[int] = []
        for statement in self.said:
            if statement.startswith("begin"):
                found.append(0)
            found[-1] += statement.startswith("insert")
        return found

    async def held(self, *works: Callable[[Connection], Any]) -> list[Any]:
        """Let units come together: while another one is written."""
        going, go_on = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def hold(_: Connection) -> None:
            loop.call_soon_threadsafe(going.set)
            go_on.wait(10)

        first = asyncio.create_task(self.writer.do(hold))
        await going.wait()
        rest = [asyncio.create_task(self.writer.do(work)) for work in works]
        await asyncio.sleep(0)
        go_on.set()
        await first
        return await asyncio.gather(*rest, return_exceptions=True)


def write(text: str) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        connection.execute("insert into line values (?)", (text,))
        return text

    return work


def fail(connection: Connection) -> None:
    write("half")(connection)
    raise ValueError("no")


def misspell(connection: Connection) -> None:
    write("half")(connection)
    connection.execute("select * from nowhere")


def test_units_that_come_together_share_a_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One write to the disk for all; of very many the first need not wait for the last."""
    monkeypatch.setattr("arvo.interpreters.sqlite.session.writer.GROUP_MAX", 2)

    async def go() -> tuple[object, ...]:
        file = File(tmp_path / "a.db")
        await file.writer.start()
        done = await file.held(*map(write, "abcde"))
        await file.writer.stop()
        return done, file.lines(), file.transactions()

    assert within(go()) == (list("abcde"), list("abcde"), [0, 2, 2, 1])


def test_a_unit_that_raises_is_undone_alone(tmp_path: Path) -> None:
    """Whoever waits for it hears why; the others of its group are durable."""

    async def go() -> tuple[object, ...]:
        file = File(tmp_path / "a.db")
        await file.writer.start()
        done = await file.held(write("a"), fail, write("b"))
        after = await file.writer.do(write("c"))
        await file.writer.stop()
        return [each if isinstance(each, str) else repr(each) for each in done], after, file.lines()

    assert within(go()) == (["a", "ValueError('no')", "b"], "c", ["a", "b", "c"])


@pytest.mark.parametrize("units", [(misspell,), (write("a"), misspell), (fail, misspell)])
def test_what_sqlite_refuses_is_undone_with_its_group(
    tmp_path: Path, units: tuple[Callable[[Connection], Any], ...]
) -> None:
    """All of it may be sent again; and the next unit finds no transaction open."""

    async def go() -> tuple[object, ...]:
        file = File(tmp_path / "a.db")
        await file.writer.start()
        done = await file.held(*units)
        after = await file.writer.do(write("c"))
        await file.writer.stop()
        return [str(each) for each in done], after, file.lines()

    refused = ["SQLite: no such table: nowhere"] * len(units)
    assert within(go()) == (refused, "c", ["c"])


def test_what_follows_is_done_though_nobody_waits_any_more(tmp_path: Path) -> None:
    """A task that is cancelled must not keep from others what its unit has done."""

    async def go() -> tuple[object, ...]:
        file, heard = File(tmp_path / "a.db"), list[str]()
        await file.writer.start()
        go_on = threading.Event()
        tasks = [
            asyncio.create_task(file.writer.do(work, heard.append))
            for work in (lambda _: f"{go_on.wait(10)}", write("a"), write("b"))
        ]
        await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[1].cancel()
        go_on.set()
        last = await tasks[2]
        await file.writer.stop()
        return heard, last, [task.cancelled() for task in tasks], file.lines()

    assert within(go()) == (["True", "a", "b"], "b", [True, True, False], ["a", "b"])


def test_a_file_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    """Whoever waits for it hears what was wrong."""

    async def go() -> None:
        await File(tmp_path).writer.start()

    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        within(go())


def test_a_writer_that_has_ended_takes_nothing_more(tmp_path: Path) -> None:
    """Nobody waits for what will never be written."""

    async def go() -> list[str]:
        file = File(tmp_path / "a.db")
        await file.writer.start()
        late: list[asyncio.Task[str]] = []
        going, go_on = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def hold(_: Connection) -> None:
            loop.call_soon_threadsafe(going.set)
            go_on.wait(10)

        first = asyncio.create_task(file.writer.do(hold))
        await going.wait()
        stopping = asyncio.create_task(file.writer.stop())
        await asyncio.sleep(0)
        late += (asyncio.create_task(file.writer.do(write(text))) for text in "ab")
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(first, stopping)
        late.append(asyncio.create_task(file.writer.do(write("c"))))
        refused = await asyncio.gather(*late, return_exceptions=True)
        assert all(isinstance(each, Unavailable) for each in refused)
        await file.writer.stop()
        return [*map(str, refused), *file.lines()]

    before = "the file was closed before this was written"
    assert within(go()) == [before, before, "the file is closed here: open it again"]


def test_a_tick_comes_in_time_whatever_else_happens(tmp_path: Path) -> None:
    """Leases are kept and timers fire while nothing is written; and not more often than said."""

    async def go() -> tuple[int, int, bool]:
        ticks: list[int] = []
        loop, enough = asyncio.get_running_loop(), asyncio.Event()

        def tick(_: Connection) -> None:
            ticks.append(1)
            if len(ticks) == 20:
                file.writer.seconds = 3600.0
                loop.call_soon_threadsafe(enough.set)

        file = File(tmp_path / "a.db", tick, 0.0)
        await file.writer.start()
        await enough.wait()
        for text in "abc":
            await file.writer.do(write(text))
        some = len(ticks)
        await file.writer.stop()
        rare = File(tmp_path / "a.db", lambda _: ticks.append(2))
        await rare.writer.start()
        for text in "abc":
            await rare.writer.do(write(text))
        thread = rare.writer._thread
        await rare.writer.stop()
        # It must not keep a process that dies from dying.
        return some, ticks.count(2), thread is not None and thread.daemon

    assert within(go()) == (20, 0, True)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("busy"), ValueError("a bug of ours")])
def test_a_tick_that_raises_leaves_nothing_open(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The next one tries again. A bug is told; that a file is busy is not worth a line."""

    async def go() -> list[str]:
        loop, ticked = asyncio.get_running_loop(), asyncio.Event()

        def tick(connection: Connection) -> None:
            file.writer.seconds = 3600.0
            loop.call_soon_threadsafe(ticked.set)
            connection.execute("begin immediate")
            write("half")(connection)
            raise error

        file = File(tmp_path / "a.db", tick, 0.0)
        await file.writer.start()
        await ticked.wait()
        await file.writer.do(write("a"))
        await file.writer.stop()
        return file.lines()

    assert within(go()) == ["a"]
    assert ["look for what is due" in message for message in caplog.messages] == (
        [] if isinstance(error, sqlite3.Error) else [True]
    )


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (None, Unavailable),
        (5, Unavailable),  # SQLITE_BUSY
        (13, Unavailable),  # SQLITE_FULL
        (11, Corrupt),  # SQLITE_CORRUPT
        (26, Corrupt),  # SQLITE_NOTADB
        (267, Corrupt),  # SQLITE_CORRUPT_VTAB: the lowest byte is the kind
        (261, Unavailable),  # SQLITE_BUSY_RECOVERY
    ],
)
def test_what_waiting_mends_is_told_from_what_it_does_not(code: int | None, kind: type) -> None:
    """An interpreter tries the one again, and calls a person for the other."""
    error = sqlite3.DatabaseError("so it is")
    if code is not None:
        error.sqlite_errorcode = code

    said = told(error)

    assert type(said) is kind
    assert "so it is" in str(said)
    assert ("backup" in str(said)) is (kind is Corrupt)
