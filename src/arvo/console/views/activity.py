"""Activity: what operators have done, when and why."""

from collections.abc import Sequence
from datetime import datetime
from typing import final

from attrs import frozen

from arvo.console.views.workflows import name_of
from arvo.interpreters.ports.audit import AuditEntry


@final
@frozen(kw_only=True)
class ActivityRow:
    """One act of an operator."""

    at: datetime
    verb: str
    actor: str
    reason: str
    detail: str
    subject: str
    name: str


@final
@frozen(kw_only=True)
class ActivityView:
    """The newest acts. *has_more*: whether there are older ones."""

    rows: tuple[ActivityRow, ...]
    has_more: bool


def show_activity(entries: Sequence[AuditEntry], *, has_more: bool) -> ActivityView:
    """Return the acts of operators, newest first, as a page shows them."""
    return ActivityView(rows=tuple(map(_row, entries)), has_more=has_more)


def _row(entry: AuditEntry) -> ActivityRow:
    return ActivityRow(
        at=entry.at,
        verb=entry.verb,
        actor=entry.actor or "unknown",
        reason=entry.reason,
        detail=entry.detail,
        subject=entry.subject,
        name=name_of(entry.subject),
    )
