"""Killed writer: a process that dies between a blob and its commit loses nothing."""

import asyncio
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from arvo import PostgresBackend, SqliteBackend
from arvo.interpreters.codecs.offloaded import Offloaded
from arvo.interpreters.codecs.sweep import SPARED_DAYS, sweep_blobs
from tests.interpreters.codecs.documents import days_ago
from tests.interpreters.codecs.killed_writer import KEYS, OVER, begin_event, open_blobs, run_writer
from tests.interpreters.postgres.schemas import schema_url


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder}/arvo.db"


@pytest.mark.parametrize(("url_of", "kind"), [(sqlite_url, "sqlite"), (schema_url, "postgres")])
def test_a_process_that_dies_between_a_blob_and_its_commit_loses_nothing(
    tmp_path: Path, url_of: Callable[[Path], str], kind: str
) -> None:
    """The work is done by the next one, and what the dead one has left is deleted later."""
    url, folder = url_of(tmp_path), tmp_path / "blobs"
    # While it sends, and while it steps.
    codes = [run_writer(url, folder, kill_at=number) for number in (1, 5, 0)]
    codec = Offloaded(
        open_blobs(folder), OVER, today=lambda: days_ago(0) + timedelta(days=SPARED_DAYS)
    )
    backend: Any = (
        SqliteBackend(str(tmp_path / "arvo.db"), codec=codec)
        if kind == "sqlite"
        else PostgresBackend(url, codec=codec)
    )

    async def check() -> None:
        written = {f"{path.parent.name}/{path.name}" for path in folder.glob("*/*")}
        live = await backend.referenced([*written])
        assert await sweep_blobs(codec, backend.referenced) == len(written - live) >= 1
        assert {f"{path.parent.name}/{path.name}" for path in folder.glob("*/*")} == live
        assert await backend.load(begin_event("lost").subject) is None
        for key in KEYS:
            subject = begin_event(key).subject
            record = await backend.load(subject)
            assert (record.status, record.revision) == ("done", 3)
            events = [entry.event.raw for entry in await backend.history(subject)]
            assert events[0]["text"] == begin_event(key).raw["text"]
        await backend.close()

    assert codes == [-signal.SIGKILL] * 2 + [0]
    asyncio.run(check())
