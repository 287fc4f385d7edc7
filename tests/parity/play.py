"""Play: a recorded workflow taken step by step, with the labels that the recording has for ids."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from returns.result import Success

from arvo import Commit, Event, Record, System, WorkflowDomains, step
from tests.parity.recordings import TIME, subject_said
from tests.parity.test_handlers import with_masked_stack

Case = dict[str, Any]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Play:
    """The run of one case: what is remembered, and what each id is called."""

    def __init__(self, system: System, case: Case) -> None:
        self.system = system
        self.parent = case["parentSubject"]
        self.subject = case["steps"][0]["event"]["subject"]["literal"]
        self.labels: dict[str | None, str] = {}
        self.ids: dict[str, str] = {}
        self.record: Record | None = None

    def take(self, turn: Case) -> tuple[Event[Any], ...]:
        """Take one step, and compare what comes of it with what was recorded.

        Returns the events that came beyond those that were recorded.
        """
        event = self._event(turn)

        stepped = step(self.system, event, self.record, now=NOW)

        if not isinstance(stepped, Success):
            assert {"violation": stepped.failure().kind} == turn["expect"], stepped.failure()
            return ()
        commit = stepped.unwrap()
        assert isinstance(commit, Commit)
        for position, each in enumerate(commit.events):
            self.labels[each.id] = f"{turn['label']}.{position}"
            self.ids[f"{turn['label']}.{position}"] = each.id
        self.record = commit.record or self.record
        want = turn["expect"].get("events")
        assert want is not None, (turn["expect"], commit)
        said = [self._said(each, w) for each, w in zip(commit.events, want, strict=False)]
        assert said == want
        return commit.events[len(want) :]

    def _event(self, turn: Case) -> Event[Any]:
        said = {**turn["event"], "time": TIME, "subject": self.subject}
        if "respondsTo" in turn:
            # A label that the reference never produced stays as it is: nobody asked for this reply.
            said["parentid"] = self.ids.get(turn["respondsTo"], turn["respondsTo"])
        event = Event.from_dict(said)
        self.labels[event.id] = turn["label"]
        return event

    def _said(self, event: Event[Any], want: Mapping[str, Any]) -> dict[str, Any]:
        said = event.to_dict()
        for masked in ("id", "time", "traceparent", "tracestate"):
            del said[masked]
        known = {"self": self.subject, "parent": self.parent}
        said["subject"] = subject_said(event.subject, want["subject"], known)
        said["parentid"] = self.labels.get(event.parentid, event.parentid)
        if said["data"].get("parentSubject$$") is not None:
            said["data"] = {**said["data"], "parentSubject$$": {"same": "self"}}
        return with_masked_stack(said)


def domains_of(options: Mapping[str, Any]) -> WorkflowDomains:
    """Build a workflow's default domains as the recording gives them."""
    default = WorkflowDomains()
    given = options.get("defaultEventEmissionDomains", {})
    return WorkflowDomains(
        services=given.get("services", default.services),
        complete=given.get("complete", default.complete),
        system_error=given.get("systemError", default.system_error),
    )
