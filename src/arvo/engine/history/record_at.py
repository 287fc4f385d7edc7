"""Record at: the record that a workflow had at a revision, derived by a replay."""

from collections.abc import Iterator, Sequence
from typing import Final

from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, ExecutionViolation, Violation
from arvo.engine.history.diff import differences
from arvo.engine.history.replay import Replay, replay
from arvo.engine.system.system import System

# Differences of one turn that a message names: more than a person reads in a line.
DIFFERENCES_SHOWN_MAX: Final = 3


def record_at(
    system: System, stored: Record, history: Sequence[HistoryEntry], at: int
) -> Record | Violation:
    """Return the record of a workflow at a revision, or why the replay cannot derive it.

    *stored*: its record, *history*: its history, oldest first. A replay that disagrees with the
    turns up to that revision derives a record that the workflow never had.
    """
    if type(at) is not int or not 1 <= at <= stored.revision:
        issue = Issue("at", f"a revision from 1 to {stored.revision}", short_repr(at))
        return ConfigViolation("the workflow has no such revision", issue)
    if not history:
        expected = "a backend that stores histories: SQLite, Postgres, or a pair with an index"
        issue = Issue("history", expected, "no entries")
        return ConfigViolation("the workflow has no history", issue)
    replayed = replay(system, history, until=at, record=stored)
    obstacle = next(_obstacles(history, replayed, at), None)
    if obstacle is not None:
        return obstacle
    record = replayed.record
    if record is None or record.revision != at:
        issue = Issue("at", "a revision that the history holds", str(at))
        return ConfigViolation("the history does not hold this revision", issue)
    if at == stored.revision:
        issues = differences("record", stored.to_dict(), record.to_dict())
        if issues:
            return _disagree("the record that is stored", issues)
    return record


def _obstacles(history: Sequence[HistoryEntry], replayed: Replay, at: int) -> Iterator[Violation]:
    """Yield why the turns up to a revision do not lead to its record."""
    written = [it.revision for it in history if it.record is not None and it.revision <= at]
    for turn in replayed.turns:
        if written and turn.revision <= written[-1]:
            continue  # an operator has written a record since
        if turn.not_replayable is not None:
            issue = Issue(f"turn {turn.revision}", "a turn that can be replayed", "none")
            yield ConfigViolation(f"it cannot be replayed because {turn.not_replayable}", issue)
        elif turn.differences:
            yield _disagree(f"turn {turn.revision}", turn.differences)


def _disagree(what: str, issues: Sequence[Issue]) -> Violation:
    message = (
        f"the replay disagrees with {what}: load the code that took these turns, or fork at an "
        "earlier revision"
    )
    return ExecutionViolation(message, tuple(issues[:DIFFERENCES_SHOWN_MAX]))
