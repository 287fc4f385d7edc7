"""Writer: writes share a transaction, and each is durable or raises."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.sqlite.connection.in_place import FileConnection
from arvo.interpreters.sqlite.session.writer import Writer
from tests.interpreters.within import within

Connection = sqlite3.Connection
# Longer than any test waits for a step of another thread.
STEP_SECONDS = 30.0


def nothing(_: Connection) -> None:
    """A tick that does nothing."""


class File:
    """A file with one table, its writer, and the statements that SQLite has run."""

    def __init__(
        self, path: Path, tick: Callable[[Connection], None] = nothing, seconds: float = 3600.0
    ) -> None:
        self.path, self.statements = path, list[str]()
        self.writer = Writer(self._open, tick, seconds)

    def _open(self) -> FileConnection:
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, factory=FileConnection
        )
        connection.hold(str(self.path))
        connection.execute("create table if not exists line (text)")
        connection.set_trace_callback(self.statements.append)
        return connection

    def lines(self) -> list[str]:
        """Return what is durable."""
        connection = sqlite3.connect(self.path)
        try:
            return [text for (text,) in connection.execute("select text from line")]
        finally:
            connection.close()

    def transactions(self) -> list[int]:
        """Return the number of lines that each transaction has written."""
        counts: list[int] = []
        for statement in self.statements:
            if statement.startswith("begin"):
                counts.append(0)
            counts[-1] += statement.startswith("insert")
        return counts

    async def write_together(self, *works: Callable[[Connection], Any]) -> list[Any]:
        """Let writes arrive together, while another one runs."""
        is_running, go_on = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def block(_: Connection) -> None:
            loop.call_soon_threadsafe(is_running.set)
            go_on.wait(STEP_SECONDS)

        first = asyncio.create_task(self.writer.write(block))
        await is_running.wait()
        rest = [asyncio.create_task(self.writer.write(work)) for work in works]
        await asyncio.sleep(0)
        go_on.set()
        await first
        return await asyncio.gather(*rest, return_exceptions=True)


def insert(text: str) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        connection.execute("insert into line values (?)", (text,))
        return text

    return work


def fail(connection: Connection) -> None:
    insert("half")(connection)
    raise ValueError("no")


def misspell(connection: Connection) -> None:
    insert("half")(connection)
    connection.execute("select * from nowhere")


def test_writes_that_arrive_together_share_a_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sync of the disk for all; a large group is split, so that the first need not wait."""
    monkeypatch.setattr("arvo.interpreters.sqlite.session.writer.GROUP_MAX", 2)

    async def go() -> tuple[object, ...]:
        file = File(tmp_path / "a.db")
        await file.writer.start()
        values = await file.write_together(*map(insert, "abcde"))
        await file.writer.stop()
        return values, file.lines(), file.transactions()

    assert within(go()) == (list("abcde"), list("abcde"), [0, 2, 2, 1])


def test_a_write_that_raises_is_rolled_back_alone(tmp_path: Path) -> None:
    """Its caller gets the exception; the others of its group are durable."""

    async def go() -> tuple[object, ...]:
        file = File(tmp_path / "a.db")
        await file.writer.start()
        values = await file.write_together(insert("a"), fail, insert("b"))
        after = await file.writer.write(insert("c"))
        await file.writer.stop()
        texts = [value if isinstance(value, str) else repr(value) for value in values]
        return texts, after, file.lines()

    assert within(go()) == (["a", "ValueError('no')", "b"], "c", ["a", "b", "c"])


@pytest.mark.parametrize("works", [(misspell,), (insert("a"), misspell), (fail, misspell)])
def test_an_error_of_sqlite_rolls_back_the_group(
    tmp_path: Path, works: tuple[Callable[[Connection], Any], ...]
) -> None:
    """All of it may be sent again; and the next write finds no open transaction."""

    async def go() -> tuple[object, ...]:
        file = File(tmp_path / "a.db")
        await file.writer.start()
        errors = await file.write_together(*works)
        after = await file.writer.write(insert("c"))
        await file.writer.stop()
        return [str(error) for error in errors], after, file.lines()

    refused = ["SQLite: no such table: nowhere"] * len(works)
    assert within(go()) == (refused, "c", ["c"])


def test_the_callback_of_a_cancelled_write_is_called(tmp_path: Path) -> None:
    """A cancelled task must not hide from others what its write has changed."""

    async def go() -> tuple[object, ...]:
        file, values = File(tmp_path / "a.db"), list[str]()
        await file.writer.start()
        go_on = threading.Event()
        tasks = [
            asyncio.create_task(file.writer.write(work, values.append))
            for work in (lambda _: f"{go_on.wait(STEP_SECONDS)}", insert("a"), insert("b"))
        ]
        await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[1].cancel()
        go_on.set()
        last = await tasks[2]
        await file.writer.stop()
        return values, last, [task.cancelled() for task in tasks], file.lines()

    assert within(go()) == (["True", "a", "b"], "b", [True, True, False], ["a", "b"])


def test_a_callback_that_raises_leaves_no_other_write_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in one place must not hang the rest of the process."""

    def break_down(_: str) -> None:
        raise KeyError("no")

    async def go() -> list[str]:
        file = File(tmp_path / "a.db")
        await file.writer.start()
        broken = asyncio.create_task(file.writer.write(insert("a"), break_down))
        sound = asyncio.create_task(file.writer.write(insert("b")))
        results = await asyncio.gather(broken, sound, return_exceptions=True)
        await file.writer.stop()
        return list(map(repr, results))

    assert within(go()) == ["KeyError('no')", "'b'"]
    assert caplog.messages == ["a callback failed"]


def test_an_error_at_opening_is_raised(tmp_path: Path) -> None:
    """The caller of `start` learns what was wrong."""

    async def go() -> None:
        await File(tmp_path).writer.start()

    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        within(go())


def test_a_start_that_is_cancelled_leaves_no_connection_open(tmp_path: Path) -> None:
    """The thread finishes opening, and no caller would stop it."""
    may_open = threading.Event()

    class SlowFile(File):
        def _open(self) -> FileConnection:
            may_open.wait(STEP_SECONDS)
            return super()._open()

    async def go() -> bool:
        file = SlowFile(tmp_path / "a.db")
        starting = asyncio.create_task(file.writer.start())
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        may_open.set()
        thread = file.writer._thread
        assert thread is not None
        await asyncio.to_thread(thread.join, STEP_SECONDS)
        return thread.is_alive()

    assert not within(go())


def test_a_stopped_writer_refuses_every_write(tmp_path: Path) -> None:
    """No caller waits for a write that will never happen."""

    async def go() -> list[str]:
        file = File(tmp_path / "a.db")
        await file.writer.start()
        late: list[asyncio.Task[str]] = []
        is_running, go_on = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def block(_: Connection) -> None:
            loop.call_soon_threadsafe(is_running.set)
            go_on.wait(STEP_SECONDS)

        first = asyncio.create_task(file.writer.write(block))
        await is_running.wait()
        stopping = asyncio.create_task(file.writer.stop())
        await asyncio.sleep(0)
        late += (asyncio.create_task(file.writer.write(insert(text))) for text in "ab")
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(first, stopping)
        late.append(asyncio.create_task(file.writer.write(insert("c"))))
        errors = await asyncio.gather(*late, return_exceptions=True)
        assert all(isinstance(error, Unavailable) for error in errors)
        await file.writer.stop()
        return [*map(str, errors), *file.lines()]

    before = "the file was closed before this was written"
    assert within(go()) == [before, before, "the file is closed here: open it again"]


def test_ticks_come_at_their_interval_however_busy_the_writer_is(tmp_path: Path) -> None:
    """Leases are renewed and timers fire while nothing is written; and not more often."""

    async def go() -> tuple[int, int, bool]:
        ticks: list[int] = []
        loop, are_enough = asyncio.get_running_loop(), asyncio.Event()

        def tick(_: Connection) -> None:
            ticks.append(1)
            if len(ticks) == 20:
                file.writer.seconds = 3600.0
                loop.call_soon_threadsafe(are_enough.set)

        file = File(tmp_path / "a.db", tick, 0.0)
        await file.writer.start()
        await are_enough.wait()
        for text in "abc":
            await file.writer.write(insert(text))
        count = len(ticks)
        await file.writer.stop()
        rare = File(tmp_path / "a.db", lambda _: ticks.append(2))
        await rare.writer.start()
        for text in "abc":
            await rare.writer.write(insert(text))
        thread = rare.writer._thread
        await rare.writer.stop()
        # A daemon thread does not keep a process alive that ends without closing.
        return count, ticks.count(2), thread is not None and thread.daemon

    assert within(go()) == (20, 0, True)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("busy"), ValueError("a bug")])
def test_a_tick_that_raises_leaves_no_transaction_open(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The next one tries again. A bug is logged; a busy file is not worth a line."""

    async def go() -> list[str]:
        loop, has_ticked = asyncio.get_running_loop(), asyncio.Event()

        def tick(connection: Connection) -> None:
            file.writer.seconds = 3600.0
            loop.call_soon_threadsafe(has_ticked.set)
            connection.execute("begin immediate")
            insert("half")(connection)
            raise error

        file = File(tmp_path / "a.db", tick, 0.0)
        await file.writer.start()
        await has_ticked.wait()
        await file.writer.write(insert("a"))
        await file.writer.stop()
        return file.lines()

    assert within(go()) == ["a"]
    expected = [] if isinstance(error, sqlite3.Error) else ["the maintenance failed"]
    assert caplog.messages == expected
