"""Archive: a finished workflow is in the file before the store forgets it, whatever fails."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from arvo import (
    ArchivedWorkflow,
    Backend,
    InMemoryMachineMemory,
    MemoryBroker,
    PostgresBackend,
    Retention,
    Runtime,
    SqliteBackend,
    System,
    Violated,
    paired,
    read_archive,
    replay,
)
from arvo.cli.app import run_command
from arvo.interpreters.delivery.archive.file import Archive
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.postgres.session import maintenance
from tests.interpreters.postgres.schemas import schema_url
from tests.interpreters.until import until
from tests.shop import order_request, shop

# The code of a workflow that was deleted.
empty = System([])
Open = Callable[[Retention, Any], Backend]


@pytest.fixture(params=["sqlite", "postgres"])
def open_store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Open:
    monkeypatch.setattr(maintenance, "PURGE_SECONDS", 0.0)

    def open_it(retention: Retention, now: Any) -> Backend:
        if request.param == "sqlite":
            return SqliteBackend(str(tmp_path / "arvo.db"), retention=retention, now=now)
        return PostgresBackend(schema_url(tmp_path), retention=retention, now=now)

    return open_it


def archived(tmp_path: Path) -> ArchivedWorkflow:
    """Return a workflow that ran in memory, as an archive has it."""

    async def go() -> ArchivedWorkflow:
        async with Runtime(shop) as runtime:
            event = order_request()
            await runtime.request(event, timeout=60)
            await runtime.drain(timeout=60)
            record = await runtime.record(event.subject)
            assert record is not None
            return ArchivedWorkflow(record, tuple(await runtime.history(event.subject)))

    return asyncio.run(go())


def finish_and_forget(open_store: Open, path: Path, mend: Callable[[], object]) -> Any:
    """Finish a workflow, wait until the store has forgotten it, and return it as it was.

    *mend* is called once the archive was tried in vain, if it cannot be written at first.
    """
    late = [timedelta()]

    async def go() -> Any:
        archive = Archive(path)
        retention = Retention(finished=timedelta(days=1), archive=archive)
        backend = open_store(retention, lambda: utc_now() + late[0])
        async with asyncio.timeout(120), Runtime(shop, backend) as runtime:
            event = order_request()
            await runtime.request(event, timeout=60)
            await runtime.drain(timeout=60)
            before = await runtime.record(event.subject)
            history = tuple(await runtime.history(event.subject))
            late[0] = timedelta(days=2)
            assert before is not None
            if not path.parent.exists():
                await until(lambda: archive._is_failing)
                assert await runtime.record(event.subject) == before
            mend()

            async def is_forgotten() -> bool:
                return await runtime.record(event.subject) is None

            await until(is_forgotten)
            return ArchivedWorkflow(before, history)

    return asyncio.run(go())


@pytest.mark.promise("I9")
def test_a_workflow_is_archived_before_it_is_forgotten(open_store: Open, tmp_path: Path) -> None:
    """I9: with its record and its history, so that changed code can still be compared with it."""
    path = tmp_path / "archive.jsonl"

    finished = finish_and_forget(open_store, path, lambda: None)

    [found] = read_archive(path)
    assert found == finished
    assert replay(shop, found.history, record=found.record).agrees


@pytest.mark.promise("I9")
def test_nothing_is_forgotten_while_the_archive_cannot_be_written(
    open_store: Open, tmp_path: Path
) -> None:
    """I9: a full disk, a missing folder; once it is mended the archive goes on."""
    path = tmp_path / "missing" / "archive.jsonl"

    finished = finish_and_forget(open_store, path, path.parent.mkdir)

    assert list(read_archive(path)) == [finished]


def test_a_crash_after_the_write_leaves_a_workflow_twice_and_a_reader_drops_it(
    tmp_path: Path,
) -> None:
    """Never lost, and counted once."""
    path, workflow = tmp_path / "archive.jsonl", archived(tmp_path)

    assert Archive(path).append([workflow])
    assert Archive(path).append([workflow])

    assert path.read_bytes().count(b"\n") == 2
    assert list(read_archive(path)) == [workflow]


@pytest.mark.parametrize("cut", [1, 100, -1])
def test_a_crash_inside_of_a_write_cuts_off_a_line_that_comes_again(
    tmp_path: Path, cut: int
) -> None:
    """The store still has that workflow; the torn line is dropped by reader and writer."""
    path, workflow = tmp_path / "archive.jsonl", archived(tmp_path)
    line = workflow.to_line()
    path.write_bytes(line + line[:cut])

    assert list(read_archive(path)) == [workflow]
    assert Archive(path).append([workflow])
    assert path.read_bytes() == line + line


def test_a_line_that_is_no_workflow_is_named(tmp_path: Path) -> None:
    """Damage is not passed over."""
    path = tmp_path / "archive.jsonl"
    path.write_bytes(archived(tmp_path).to_line() + b'{"record": 1}\n')

    with pytest.raises(Violated, match="line 2: line: expected a workflow as an archive has it"):
        list(read_archive(path))


def test_arguments_that_are_no_archive_are_refused() -> None:
    """A pair removes no workflow, so its archive would stay empty."""
    with pytest.raises(Violated, match="archive: expected the path of a file, or None, got 5"):
        Retention(archive=5)
    with pytest.raises(Violated, match="the retention of a pair has no archive"):
        paired(InMemoryMachineMemory(), MemoryBroker(), retention=Retention(archive="a.jsonl"))


def test_the_command_replays_an_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A release is compared with what has long been forgotten."""
    path = tmp_path / "archive.jsonl"
    Archive(path).append([archived(tmp_path)])

    assert run_command(["replay", "tests.shop:shop", str(path)]) == 0
    assert "1 workflows, 0 of them differ" in capsys.readouterr().err

    assert run_command(["replay", f"{__name__}:empty", str(path)]) == 1
    assert "1 workflows, 1 of them differ" in capsys.readouterr().err

    assert run_command(["replay", f"{__name__}:empty", str(path), "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert (printed["agrees"], printed["handler"]) == (False, "arvo.orc.order.fulfil")
    assert {each["agrees"] for each in printed["turns"]} == {False}


def test_the_command_names_an_archive_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says what it takes where none is given."""
    assert run_command(["replay", "tests.shop:shop", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl cannot be read: No such file or directory" in capsys.readouterr().err

    assert run_command(["replay", "tests.shop:shop"]) == 2
    assert "expected an ARCHIVE" in capsys.readouterr().err
