"""Migrate all: a dry run that moves many workflows to another version."""

from collections.abc import Callable, Iterable
from typing import Any, Final, final

from attrs import frozen

from arvo.core.record import ENDED_STATUSES, Record
from arvo.core.violations.violation import Violation
from arvo.engine.history.migrate import migrate_plain
from arvo.engine.system.system import Owner
from arvo.printable import printable

# The first refusals show what is wrong; the others are only counted.
REFUSALS_MAX: Final = 1_000
REFUSALS_SHOWN_MAX: Final = 20


@final
@frozen(kw_only=True)
class Migration:
    """The result of a dry run: how many workflows would move, and which cannot, and why.

    *moved*, *unchanged*, *ended* and *refused* are counts: *unchanged* workflows need no move, and
    *ended* ones are done or cancelled. *refusals* holds the subject and the violation of the first
    REFUSALS_MAX refused workflows.
    """

    moved: int = 0
    unchanged: int = 0
    ended: int = 0
    refused: int = 0
    refusals: tuple[tuple[str, Violation], ...] = ()

    def __str__(self) -> str:
        counts = f"to migrate: {self.moved}, up to date: {self.unchanged}, ended: {self.ended}"
        shown = self.refusals[:REFUSALS_SHOWN_MAX]
        lines = [
            f"{counts}, refused: {self.refused}",
            *(printable(f"{subject}: {violation}") for subject, violation in shown),
        ]
        if self.refused > len(shown):
            lines.append(f"… {self.refused - len(shown)} more")
        return "\n".join(lines)


def migrate_all(
    owner: Owner,
    records: Iterable[Record],
    *,
    to: str,
    state: Callable[[Any], Any] | None = None,
) -> Migration:
    """Try to move many records, and return how many can move and why the others cannot.

    Nothing changes (see `migrate`). Records are read one after the other and not stored, so there
    may be any number of them.
    """
    moved = unchanged = ended = refused = 0
    refusals: list[tuple[str, Violation]] = []
    for record in records:
        if record.status in ENDED_STATUSES:
            ended += 1
            continue
        result = migrate_plain(owner, record, to=to, state=state)
        if result is record:
            unchanged += 1
        elif isinstance(result, Record):
            moved += 1
        else:
            refused += 1
            if len(refusals) < REFUSALS_MAX:
                refusals.append((record.subject, result))
    return Migration(
        moved=moved,
        unchanged=unchanged,
        ended=ended,
        refused=refused,
        refusals=tuple(refusals),
    )
