"""Begins: checks that each run of a workflow id begins once, and only after the one before it."""

from collections.abc import Mapping
from typing import Any, Final, final

from attrs import define, field

from arvo.core.begin import has_chosen_id, is_keyed
from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.identity import ID_REUSE_POLICY, SIGNAL
from arvo.core.events.subject import workflow_id_of
from arvo.core.record import Record
from arvo.interpreters.ports.messages import Delivery
from arvo.testing.simulation.checks.report import Report

# The statuses after which a begin with each policy may begin the next run.
_FOLLOWS: Final[Mapping[str, tuple[str, ...]]] = {
    "reject": (),
    "allow_if_failed": ("failed", "cancelled"),
    "allow": ("done", "failed", "cancelled"),
    SIGNAL: ("done", "cancelled"),
}


@final
@define(eq=False)
class Begins:
    """The events that have begun the runs of each workflow, by its subject."""

    report: Report
    _begun: dict[str, set[str]] = field(factory=dict, init=False)

    def check(self, delivery: Delivery, commit: Commit, records: Mapping[str, Record]) -> None:
        """Check an applied commit. *records*: those before it, by subject."""
        event, before = commit.event, records.get(commit.event.subject)
        begins = event.type == commit.handler and commit.record is not None
        if not begins or not has_chosen_id(event):
            return
        self._check_others(delivery, event, records)
        if is_keyed(event) and before is not None and before.status == "active":
            # It is a signal to the run of its key.
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

    def _check_others(
        self, delivery: Delivery, event: Event[Any], records: Mapping[str, Record]
    ) -> None:
        """Check that no run with another subject has the workflow id that an event begins."""
        id_, policy = workflow_id_of(event.subject), str(event.extensions.get(ID_REUSE_POLICY))
        for subject, record in records.items():
            is_other = subject != event.subject and (record.handler, bool(record.init)) == (
                event.type,
                True,
            )
            if not is_other or workflow_id_of(subject) != id_:
                continue
            if record.status not in _FOLLOWS.get(policy, ()):
                problem = f"a second run of {id_!r} began, and the other one is {record.status}"
                self.report.add_violation("begin", problem, delivery)
