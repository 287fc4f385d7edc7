"""Archives: the command that replays the workflows of an archive."""

from collections.abc import Iterable, Iterator
from typing import Any

from arvo.cli.terminal.errors import UsageError
from arvo.cli.terminal.load import SystemName, load_system
from arvo.cli.terminal.output import TEXT, Output, print_status
from arvo.cli.terminal.progress import progress
from arvo.core.events.subject import workflow_id_of
from arvo.core.record import Record
from arvo.engine.history.replay import Replay
from arvo.engine.history.replay import replay as replay_turns
from arvo.interpreters.delivery.archive.workflow import ArchivedWorkflow, read_archive


def replay(
    system: SystemName,
    /,
    *archives: str,
    workflow: str | None = None,
    output: Output = TEXT,
) -> int:
    """Replay the workflows of an archive with a system, and print each one that would differ now.

    ARCHIVES are files that `Retention(archive=...)` has written. The exit code is 1 if a workflow
    differs, or cannot be replayed.

    Parameters
    ----------
    workflow
        Only the runs with this workflow id, or of this subject; their turns are printed.
    """
    if not archives:
        raise UsageError("expected an ARCHIVE: a file that Retention(archive=...) has written")
    loaded = load_system(system, "memory:")
    count = differing = 0
    with progress() as show:
        for archived in _read_all(archives):
            record = archived.record
            id_ = workflow_id_of(record.subject)
            if workflow is not None and workflow not in (id_, record.subject):
                continue
            count += 1
            show(f"{count} workflows, {differing} of them differ")
            result = replay_turns(loaded, archived.history, record=record)
            differing += not result.agrees
            if workflow is not None or not result.agrees:
                head = f"{record.handler} {record.version} {id_ or record.subject}"
                output.show(_to_json(record, result), f"{head}\n{result}")
    print_status(f"{count} workflows, {differing} of them differ")
    return int(differing > 0)


def _to_json(record: Record, result: Replay) -> dict[str, Any]:
    turns = [
        {
            "revision": turn.revision,
            "agrees": turn.agrees,
            "differences": list(map(str, turn.differences)),
            "not_replayable": turn.not_replayable,
        }
        for turn in result.turns
    ]
    return {
        "handler": record.handler,
        "version": record.version,
        "subject": record.subject,
        "agrees": result.agrees,
        "turns": turns,
        "record_differences": list(map(str, result.record_differences)),
    }


def _read_all(paths: Iterable[str]) -> Iterator[ArchivedWorkflow]:
    for path in paths:
        yield from _read(path)


def _read(path: str) -> Iterator[ArchivedWorkflow]:
    try:
        yield from read_archive(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
