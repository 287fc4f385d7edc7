"""Archives: finished workflows are in the archive before a backend removes them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from arvo.core.record import Status
from arvo.interpreters.delivery.archive.workflow import ArchivedWorkflow, read_archive
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.results import Committed
from arvo.testing.conformance.kit import NOT_DURABLE, BackendKit, conformance_test, skip
from arvo.testing.conformance.kit.samples import (
    WORKFLOW,
    record,
    subject,
    to_service,
    to_workflow,
    turn_commit,
)

NO_ARCHIVE: Final = "archiving_backend is not overridden: override it if the backend archives"
# Between two looks at the store. A purge may need the thread that looks.
LOOK_SECONDS: Final = 0.02


class Archives(BackendKit):
    """Tests of `Retention.archive`; for other backends pytest reports them as skipped."""

    async def archiving_backend(self, retention: Retention) -> Backend | None:
        """Open a backend at `self.tmp_path` with *retention*, as `backend` does without.

        Override it if the backend archives finished workflows; the kit then tests that none is
        removed unless the archive has it.
        """
        assert retention.archive is not None
        return None

    @conformance_test
    async def test_a_finished_workflow_is_archived_before_it_is_removed(
        self, backend: Backend
    ) -> None:
        """With its last record and its whole history; others stay, and are not archived."""
        async with self._archiving(backend) as (archiving, path):
            await self._run(archiving, "active", ["active"])
            await self._run(archiving, "failed", ["failed"])
            await self._run(archiving, "done", ["active", "done"])

            await self._until_removed(archiving, ["done"])

            # Now: not a moment later.
            [archived] = _read(path)
            assert archived.record == record(2, "done", status="done")
            entries = [(it.kind, it.event and it.event.id) for it in archived.history]
            assert entries == [
                ("consumed", "done-1"),
                ("produced", "done-1-ask"),
                ("consumed", "done-2"),
                ("produced", "done-2-ask"),
            ]
            assert [each.position for each in archived.history] == [0, 1, 2, 3]
            for run in ("active", "failed"):
                assert await archiving.load(subject(run)) == record(1, run, status=run)

    @conformance_test
    async def test_a_workflow_stays_while_the_archive_cannot_be_written(
        self, backend: Backend
    ) -> None:
        """It is removed once the archive has it."""
        async with self._archiving(backend) as (archiving, path):
            # No file can be written there.
            path.mkdir()
            await self._run(archiving, "done", ["done"])
            await asyncio.sleep(self.quiet_period)
            assert await archiving.load(subject("done")) == record(1, "done", status="done")
            path.rmdir()

            await self._until_removed(archiving, ["done"])

            assert [each.record.subject for each in _read(path)] == [subject("done")]

    @conformance_test
    async def test_processes_that_share_an_archive_write_each_workflow_once(
        self, backend: Backend
    ) -> None:
        """Only a crash may leave one in it twice."""
        if not self.is_durable:
            skip(NOT_DURABLE)
        runs = [f"run-{number}" for number in range(10)]
        async with (
            self._archiving(backend) as (archiving, path),
            self._archiving(backend) as (other, _path),
        ):
            # It works as well.
            await other.load(subject("none"))
            for run in runs:
                await self._run(archiving, run, ["cancelled"])

            await self._until_removed(archiving, runs)

            assert path.read_bytes().count(b"\n") == len(runs)
            archived = {each.record.subject for each in _read(path)}
            assert archived == {subject(run) for run in runs}

    @asynccontextmanager
    async def _archiving(self, plain: Backend) -> AsyncIterator[tuple[Backend, Path]]:
        """Open a backend that archives, in place of the *plain* one that a test gets."""
        await plain.close()
        path = self.tmp_path / "archive.jsonl"
        retention = Retention(finished=timedelta(), archive=path)
        archiving = await self.archiving_backend(retention)
        if archiving is None:
            skip(NO_ARCHIVE)
        try:
            yield archiving, path
        finally:
            await archiving.close()

    async def _run(self, backend: Backend, run: str, statuses: Sequence[Status]) -> None:
        """Commit a turn for each status, which emits an event; acknowledge the events."""
        for revision, status in enumerate(statuses, start=1):
            key = f"{run}-{revision}"
            await backend.send(to_workflow(key, run=run))
            delivery = await self.eventually(backend.receive(WORKFLOW), "the event")
            ask = to_service(f"{key}-ask")
            commit = turn_commit(delivery, revision, run=run, status=status, messages=[ask])
            assert await backend.commit(delivery, commit, [], []) == Committed()

    async def _until_removed(self, backend: Backend, runs: Sequence[str]) -> None:
        async def removed() -> None:
            left = list(runs)
            while left:
                if await backend.load(subject(left[-1])) is None:
                    left.pop()
                else:
                    await asyncio.sleep(LOOK_SECONDS)

        await self.eventually(removed(), "the finished workflows are removed")


def _read(path: Path) -> list[ArchivedWorkflow]:
    assert path.exists(), "a workflow was removed, and there is no archive"
    return list(read_archive(path))
