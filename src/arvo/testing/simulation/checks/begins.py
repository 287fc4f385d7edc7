"""Begins: checks that each run of a workflow id begins once, and only after the one before it."""

from collections.abc import Mapping
from typing import Final, final

from attrs import define, field

from arvo.core.begin import has_chosen_id
from arvo.core.commit import Commit
from arvo.core.events.identity import ID_REUSE_POLICY
from arvo.core.record import Record
from arvo.interpreters.ports.messages import Delivery
from arvo.testing.simulation.checks.report import Report

# The statuses after which a begin with each policy may begin the next run.
_FOLLOWS: Final[Mapping[str, tuple[str, ...]]] = {
    "reject": (),
    "allow_if_failed": ("failed", "cancelled"),
    "allow": ("done", "failed", "cancelled"),
}


@final
@define(eq=False)
class Begins:
    """The events that have begun the runs of each workflow, by its subject."""

    report: Report
    _begun: dict[str, set[str]] = field(factory=dict, init=False)

    def check(self, delivery: Delivery, commit: Commit, before: Record | None) -> None:
        """Check an applied commit; *before* is the record that it replaces."""
        event = commit.event
        begins = event.type == commit.handler and commit.record is not None
        if not begins or not has_chosen_id(event):
            return
        # One that was revived after its first turn failed has not begun: it begins once more.
        has_begun = before is not None and bool(before.init)
        begun = self._begun.setdefault(event.subject, set())
        policy = str(event.extensions.get(ID_REUSE_POLICY))
        if has_begun and before is not None and before.status not in _FOLLOWS.get(policy, ()):
            problem = f"a run began by policy {policy!r}, and the one before it is {before.status}"
            self.report.add_violation("begin", problem, delivery)
        elif has_begun and event.id in begun:
            self.report.add_violation("begin", f"{event.id!r} began a second run", delivery)
        begun.add(event.id)
