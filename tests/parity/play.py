"""Play: runs a recorded workflow step by step and compares the results.

The recording has labels instead of ids.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from returns.result import Success

from arvo import Commit, Event, Record, System, WorkflowDomains, step
from tests.parity.recordings import TIME, describe_subject
from tests.parity.test_handlers import mask_stack

Case = dict[str, Any]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Play:
    """The run of one case: its record so far, and the label of each id."""

    def __init__(self, system: System, case: Case) -> None:
        self.system = system
        self.parent = case["parentSubject"]
        self.subject = case["steps"][0]["event"]["subject"]["literal"]
        self.labels: dict[str | None, str] = {}
        self.ids: dict[str, str] = {}
        self.record: Record | None = None

    def take(self, turn: Case) -> tuple[Event[Any], ...]:
        """Take one step, and compare its events with the recorded ones.

        Returns the additional events.
        """
        event = self._event(turn)

        result = step(self.system, event, self.record, now=NOW)

        if not isinstance(result, Success):
            assert {"violation": result.failure().kind} == turn["expect"], result.failure()
            return ()
        commit = result.unwrap()
        assert isinstance(commit, Commit)
        for position, produced in enumerate(commit.events):
            label = f"{turn['label']}.{position}"
            self.labels[produced.id] = label
            self.ids[label] = produced.id
        self.record = commit.record or self.record
        expected = turn["expect"].get("events")
        assert expected is not None, (turn["expect"], commit)
        pairs = zip(commit.events, expected, strict=False)
        assert [self._describe(event, e) for event, e in pairs] == expected
        return commit.events[len(expected) :]

    def _event(self, turn: Case) -> Event[Any]:
        content = {**turn["event"], "time": TIME, "subject": self.subject}
        if "respondsTo" in turn:
            # A label of no produced event stays as it is: there was no such request.
            content["parentid"] = self.ids.get(turn["respondsTo"], turn["respondsTo"])
        event = Event.from_dict(content)
        self.labels[event.id] = turn["label"]
        return event

    def _describe(self, event: Event[Any], expected: Mapping[str, Any]) -> dict[str, Any]:
        content = event.to_dict()
        for masked in ("id", "time", "traceparent", "tracestate"):
            del content[masked]
        known = {"self": self.subject, "parent": self.parent}
        content["subject"] = describe_subject(event.subject, expected["subject"], known)
        content["parentid"] = self.labels.get(event.parentid, event.parentid)
        if content["data"].get("parentSubject$$") is not None:
            content["data"] = {**content["data"], "parentSubject$$": {"same": "self"}}
        return mask_stack(content)


def make_domains(options: Mapping[str, Any]) -> WorkflowDomains:
    """Build the recorded default domains of a workflow."""
    default = WorkflowDomains()
    recorded = options.get("defaultEventEmissionDomains", {})
    return WorkflowDomains(
        services=recorded.get("services", default.services),
        complete=recorded.get("complete", default.complete),
        system_error=recorded.get("systemError", default.system_error),
    )
