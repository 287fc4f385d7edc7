"""Audit: who has acted on workflows and dead letters, when, and why."""

from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, final

from attrs import asdict, frozen

from arvo.core.events.subject import subject_label
from arvo.core.violations.issue import one_line
from arvo.printable import printable

Verb: TypeAlias = Literal["cancel", "migrate", "revive", "redrive", "delete", "signal", "fork"]

# The longest actor, reason and detail.
AUDIT_CHARACTERS_MAX: Final = 1_000
# Entries in a store; the oldest are removed.
AUDIT_MAX: Final = 100_000


@final
@frozen(kw_only=True)
class AuditEntry:
    """One act of an operator, as the client has recorded it before it was carried out.

    *verb*: what was done. *subject*: the subject of the workflow, or of the event of the dead
    letter. *target*: the id of the dead letter or of the event that was sent, None for an act on
    the workflow itself. *actor*: who did it, None if the caller named no one. *reason*: why.
    *detail*: such as the version that a workflow was migrated to. *at*: to the millisecond.
    """

    id: str
    at: datetime
    verb: Verb
    subject: str
    target: str | None = None
    actor: str | None = None
    reason: str = ""
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as JSON data."""
        return {**asdict(self), "at": self.at.isoformat(timespec="milliseconds")}

    def __str__(self) -> str:
        actor = "unknown" if self.actor is None else one_line(self.actor)
        words = [self.verb, *(printable(text) for text in (self.target, self.detail) if text)]
        head = f"{self.at.isoformat(timespec='milliseconds')}  {actor}  {' '.join(words)}"
        reason = f": {printable(self.reason)}" if self.reason else ""
        return f"{head}{reason}\n  {printable(subject_label(self.subject))}"
