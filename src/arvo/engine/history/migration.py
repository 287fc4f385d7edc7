"""Migration: what would come of moving many workflows to another version."""

from collections.abc import Callable, Iterable
from typing import Any, Final, final

from attrs import frozen

from arvo.core.record import Record
from arvo.core.violations.violation import Violation
from arvo.engine.history.migrate import move
from arvo.engine.system.owner import Owners

# Of more, the first say what is wrong; all are counted.
REFUSALS_KEPT_MAX: Final = 1_000
REFUSALS_TOLD_MAX: Final = 20


@final
@frozen(kw_only=True)
class Migration:
    """What came of trying to move many records: how many would move, and which cannot, and why.

    *unchanged*: nothing is to be done for them. *ended*: done or cancelled, and left alone.
    *refusals*: subject and violation of the first REFUSALS_KEPT_MAX of those that are *refused*.
    """

    moved: int = 0
    unchanged: int = 0
    ended: int = 0
    refused: int = 0
    refusals: tuple[tuple[str, Violation], ...] = ()

    def __str__(self) -> str:
        counts = f"{self.moved} would move, {self.unchanged} need not, {self.ended} have ended"
        told = self.refusals[:REFUSALS_TOLD_MAX]
        lines = [f"{counts}, {self.refused} cannot", *(f"{s}: {why}" for s, why in told)]
        if self.refused > len(told):
            lines.append(f"… {self.refused - len(told)} more")
        return "\n".join(lines)


def migrate_all(
    owners: Owners,
    records: Iterable[Record],
    *,
    to: str,
    state: Callable[[Any], Any] | None = None,
) -> Migration:
    """Try to move many records, and say which cannot and why; nothing is changed (see `migrate`).

    Takes one record after the other and keeps none, so there may be any number.
    """
    moved = unchanged = ended = refused = 0
    refusals: list[tuple[str, Violation]] = []
    for record in records:
        if record.status in ("done", "cancelled"):
            ended += 1
            continue
        found = move(owners, record, to=to, state=state)
        if found is record:
            unchanged += 1
        elif isinstance(found, Record):
            moved += 1
        else:
            refused += 1
            if len(refusals) < REFUSALS_KEPT_MAX:
                refusals.append((record.subject, found))
    return Migration(
        moved=moved,
        unchanged=unchanged,
        ended=ended,
        refused=refused,
        refusals=tuple(refusals),
    )
