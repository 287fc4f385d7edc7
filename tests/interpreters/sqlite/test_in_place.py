"""In place: a file that is deleted, replaced or full is noticed before an event is lost."""

import asyncio
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from arvo import Client, Corrupt, Runtime
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.sqlite import SqliteBackend
from arvo.interpreters.sqlite.connection import in_place
from arvo.interpreters.sqlite.session import maintenance, session
from tests.interpreters.until import until
from tests.interpreters.within import within
from tests.logged import logged
from tests.shop import charge_request, shop

PAY = "com.payment.charge"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


def message(key: str) -> Message:
    return Message(charge_request(key), ToHandler(PAY, None))


def delete(path: Path) -> None:
    """Delete the file, and not its log."""
    path.unlink()


def move(path: Path) -> None:
    """Rename the file."""
    path.rename(path.with_suffix(".old"))


def replace(path: Path) -> None:
    """Put a copy in the place of the file, as a restore from a backup does."""
    copy = path.with_suffix(".copy")
    shutil.copy(path, copy)
    copy.replace(path)


def delete_log(path: Path) -> None:
    """Delete the log, as a cleaning script may."""
    Path(f"{path}-wal").unlink()


def delete_log_if_any(path: Path) -> None:
    """Delete the files that belong to the file that was replaced."""
    for log in (f"{path}-wal", f"{path}-shm"):
        Path(log).unlink(missing_ok=True)


def cut_log(path: Path) -> None:
    """Truncate the log, as a tool that rotates logs may."""
    os.truncate(f"{path}-wal", 0)


REMOVALS = [
    pytest.param(delete, "the file is gone", id="deleted"),
    pytest.param(move, "the file is gone", id="moved"),
    pytest.param(replace, "the file was replaced", id="replaced"),
    pytest.param(delete_log, "the write-ahead log is gone", id="log deleted"),
    pytest.param(cut_log, "the write-ahead log is cut off (0 bytes of", id="log cut off"),
]


@pytest.mark.promise("I1")
@pytest.mark.parametrize(("remove", "text"), REMOVALS)
def test_nothing_is_acknowledged_into_a_file_that_is_not_in_place(
    path: Path, monkeypatch: pytest.MonkeyPatch, remove: Callable[[Path], None], text: str
) -> None:
    """I1: the next process would not find it. Without a tick, the write itself notices."""
    monkeypatch.setattr(session, "TICK_SECONDS", 3600.0)

    async def go() -> None:
        backend = SqliteBackend(str(path))
        await backend.send(message("c1"))
        remove(path)
        for _ in range(2):
            with pytest.raises(Corrupt, match=re.escape(text)) as refused:
                await backend.send(message("c2"))
            assert "restore it with its -wal file" in str(refused.value)
        await backend.close()

    within(go())


@pytest.mark.parametrize(("remove", "text"), REMOVALS)
def test_a_worker_without_work_notices_by_a_tick(
    path: Path, remove: Callable[[Path], None], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It would look healthy until its first event, and then lose that."""

    async def go() -> tuple[bool, bool]:
        async with Runtime(shop, SqliteBackend(str(path))) as runtime:
            await runtime.drain()
            before = await runtime.is_reachable()
            remove(path)
            await until(lambda: not runtime.is_working)
            with pytest.raises(Corrupt, match=re.escape(text)):
                await runtime.send(charge_request())
            return before, await runtime.is_reachable()

    assert within(go()) == (True, False)
    [line] = logged(caplog.records, "the backend stops")
    assert text in line["reason"]


def test_a_file_that_was_restored_is_used_after_a_close(path: Path) -> None:
    """The remedy of the error works without a new process."""

    async def go() -> int:
        backend = SqliteBackend(str(path))
        await backend.send(message("c1"))
        await backend.close()
        await backend.send(message("c2"))
        replace(path)
        with pytest.raises(Corrupt, match="was replaced"):
            await backend.send(message("c3"))
        await backend.close()
        delete_log_if_any(path)
        await backend.send(message("c4"))
        depth = await backend.depth()
        await backend.close()
        return depth.total

    assert within(go()) == 2
    assert not in_place._OPEN


@pytest.mark.promise("I1")
def test_a_second_backend_in_a_process_does_not_release_the_locks_of_the_first(path: Path) -> None:
    """I1: another program that closes the file would delete the log that the first one uses."""
    program = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("select count(*) from delivery").fetchall()
connection.close()
"""

    async def go() -> int:
        first, second = SqliteBackend(str(path)), SqliteBackend(str(path))
        await first.send(message("c1"))
        await second.depth()
        await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", program, str(path)], check=True
        )
        await first.send(message("c2"))
        depth = await second.depth()
        await second.close()
        await first.close()
        return depth.total

    assert within(go()) == 2
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select count(*) from delivery").fetchone() == (2,)


def test_a_checkpoint_of_another_program_is_no_fault(path: Path) -> None:
    """A backup script empties the log, and its index first."""

    async def go() -> int:
        backend = SqliteBackend(str(path))
        for number in range(20):
            await backend.send(message(f"c{number}"))
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("pragma wal_checkpoint(truncate)").fetchall()
        depth = await backend.depth()
        await backend.close()
        return depth.total

    assert within(go()) == 20
    assert not in_place._OPEN
    assert not in_place._INDEXES


def test_a_full_disk_is_not_reachable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load balancer sends its requests to another process."""

    async def go() -> tuple[bool, bool, bool]:
        async with Client(shop, SqliteBackend(str(path))) as client:
            before = await client.is_reachable()
            monkeypatch.setattr(maintenance, "FREE_BYTES_MIN", 2**62)
            full = await client.is_reachable()
            monkeypatch.setattr(maintenance, "FREE_BYTES_MIN", 0)
            return before, full, await client.is_reachable()

    assert within(go()) == (True, False, True)


def test_a_file_that_cannot_grow_is_not_reachable(path: Path) -> None:
    """A quota is not visible in the free space: only a write shows it."""
    program = f"""
import asyncio, os, resource, signal
from arvo import Client, System
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def go():
    async with Client(System([]), "sqlite:///{path}") as client:
        before = await client.is_reachable()
        # Not a byte: after a checkpoint the log is used again from its beginning.
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        print(before, await client.is_reachable(), await client.dead_letters(), flush=True)
        os._exit(0)
asyncio.run(go())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.stdout.strip() == "True False ()", done.stderr
