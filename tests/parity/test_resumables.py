"""Resumables as the reference runs them (recorded), turn by turn."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from returns.result import Success

from arvo import (
    Command,
    Commands,
    Commit,
    Complete,
    Event,
    Persist,
    Record,
    Resumable,
    System,
    Turn,
    WorkflowDomains,
    step,
)
from tests.parity.recordings import (
    TIME,
    cases,
    orchestrator_of,
    raise_recorded,
    service_of,
    subject_said,
)
from tests.parity.test_handlers import emit_of, with_masked_stack

Case = dict[str, Any]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("case", cases("resumables.jsonl"))
def test_a_resumable_goes_its_way_as_the_reference_does(case: Case) -> None:
    """Each turn is called with the same, answers the same and remembers the same."""
    player = _Player(case)

    for turn in case["steps"]:
        player.play(turn)


class _Player:
    """Plays the steps of one case, and keeps the labels that the recording uses for ids."""

    def __init__(self, case: Case) -> None:
        self.script = case["script"]
        self.version = case["version"]
        self.parent = case["parentSubject"]
        contract = orchestrator_of(case["self"])
        resumable = Resumable(
            contract,
            dict.fromkeys(contract.versions, self._turn),
            services=[service_of(each) for each in case["services"].values()],
            executionunits=case["options"]["executionunits"],
            domains=_domains(case["options"].get("defaultEventEmissionDomains", {})),
        )
        self.system = System([resumable], stacks=True)
        self.subject = case["steps"][0]["event"]["subject"]["literal"]
        self.labels: dict[str | None, str] = {}
        self.ids: dict[str, str] = {}
        self.record: Record | None = None
        self.calls = 0
        self.called: dict[str, Any] | None = None

    def play(self, turn: Case) -> None:
        event = self._event(turn)
        self.called = None

        stepped = step(self.system, event, self.record, now=NOW)

        lost = turn.get("unanswered_dropped", False)
        self._check_called(turn["called"], lost=lost)
        if isinstance(stepped, Success):
            commit = stepped.unwrap()
            assert isinstance(commit, Commit)
            for position, each in enumerate(commit.events):
                self.labels[each.id] = f"{turn['label']}.{position}"
                self.ids[f"{turn['label']}.{position}"] = each.id
            self.record = commit.record or self.record
            want = turn["expect"].get("events")
            assert want is not None, (turn["expect"], commit)
            assert len(commit.events) == len(want), commit.events
            said = [self._said(each, w) for each, w in zip(commit.events, want, strict=True)]
            assert said == want
        else:
            assert {"violation": stepped.failure().kind} == turn["expect"], stepped.failure()
        self._check_record(turn["record"], lost=lost)

    def _event(self, turn: Case) -> Event[Any]:
        said = {**turn["event"], "time": TIME, "subject": self.subject}
        if "respondsTo" in turn:
            # A label that the reference never produced stays as it is: nobody asked for this reply.
            said["parentid"] = self.ids.get(turn["respondsTo"], turn["respondsTo"])
        event = Event.from_dict(said)
        self.labels[event.id] = turn["label"]
        return event

    def _turn(self, turn: Turn[Any]) -> Commands:
        scripted = self.script[min(self.calls, len(self.script) - 1)]
        self.calls += 1
        self.called = {
            "context": turn.state,
            "collected": {name: len(events) for name, events in turn.collected.items()},
        }
        if scripted is None:
            return None
        if "throws" in scripted:
            raise_recorded(scripted["throws"])
        return tuple(self._commands(scripted))

    def _commands(self, scripted: Case) -> list[Command]:
        commands: list[Command] = []
        if "context" in scripted:
            commands.append(Persist(scripted["context"]))
        for service in scripted.get("services") or ():
            data = service["data"]
            if data.get("parentSubject$$") == "<self>":
                data = {**data, "parentSubject$$": self.subject}
            commands.append(emit_of({**service, "data": data}))
        if "output" in scripted:
            output = scripted["output"]
            commands.append(
                Complete(
                    {key: value for key, value in output.items() if not key.startswith("__")},
                    id=output.get("__id"),
                    executionunits=output.get("__executionunits"),
                    domain=output.get("__domain", ()),
                )
            )
        return commands

    def _check_called(self, want: Case | None, *, lost: bool) -> None:
        if want is None or self.called is None or not lost:
            assert self.called == want
            return
        # Where the reference has lost requests (B07), ours collects at least what it does.
        assert self.called["context"] == want["context"]
        ours = self.called["collected"]
        assert all(ours.get(name, 0) >= count for name, count in want["collected"].items())

    def _check_record(self, want: Case | None, *, lost: bool) -> None:
        if want is None:
            assert self.record is None
            return
        assert self.record is not None
        if want["executionStatus"] == "failure":
            # The reference forgets everything else then (B08); ours keeps the last good state (I9).
            assert self.record.status == "failed"
            return
        assert self.record.status == want["status"]
        assert self.record.state == want["context"]
        assert self.labels[self.record.init] == want["initEventId"]
        assert self.record.parent == (self.parent if want["parentSubject"] == "parent" else None)
        awaited = {
            self.labels[id_]: [self.labels[reply.id] for reply in replies]
            for id_, replies in self.record.awaited.items()
        }
        # The reference says null where nothing has been asked for yet.
        expected = want["expected"] or {}
        if lost:
            awaited = {label: replies for label, replies in awaited.items() if label in expected}
        assert awaited == expected

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


def _domains(given: Mapping[str, Any]) -> WorkflowDomains:
    default = WorkflowDomains()
    return WorkflowDomains(
        services=given.get("services", default.services),
        complete=given.get("complete", default.complete),
        system_error=given.get("systemError", default.system_error),
    )
