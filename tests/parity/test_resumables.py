"""Resumables as the reference runs them (recorded), turn by turn."""

from typing import Any

import pytest

from arvo import Command, Commands, Complete, Persist, Resumable, System, Turn
from tests.parity.play import Case, Play, domains_of
from tests.parity.recordings import cases, orchestrator_of, raise_recorded, service_of
from tests.parity.test_handlers import emit_of


@pytest.mark.parametrize("case", cases("resumables.jsonl"))
def test_a_resumable_goes_its_way_as_the_reference_does(case: Case) -> None:
    """Each turn is called with the same, answers the same and remembers the same."""
    player = _Player(case)

    for turn in case["steps"]:
        player.play(turn)


class _Player:
    """Plays the steps of one case, and writes down what the function is called with."""

    def __init__(self, case: Case) -> None:
        self.script = case["script"]
        contract = orchestrator_of(case["self"])
        resumable = Resumable(
            contract,
            dict.fromkeys(contract.versions, self._turn),
            services=[service_of(each) for each in case["services"].values()],
            executionunits=case["options"]["executionunits"],
            domains=domains_of(case["options"]),
        )
        self.run = Play(System([resumable], stacks=True), case)
        self.calls = 0
        self.called: dict[str, Any] | None = None

    def play(self, turn: Case) -> None:
        self.called = None

        beyond = self.run.take(turn)

        assert beyond == ()
        lost = turn.get("unanswered_dropped", False)
        self._check_called(turn["called"], lost=lost)
        self._check_record(turn["record"], lost=lost)

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
                data = {**data, "parentSubject$$": self.run.subject}
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
        record, labels = self.run.record, self.run.labels
        if want is None:
            assert record is None
            return
        assert record is not None
        if want["executionStatus"] == "failure":
            # The reference forgets everything else then (B08); ours keeps the last good state (I9).
            assert record.status == "failed"
            return
        assert record.status == want["status"]
        assert record.state == want["context"]
        assert labels[record.init] == want["initEventId"]
        assert record.parent == (self.run.parent if want["parentSubject"] == "parent" else None)
        awaited = {
            labels[id_]: [labels[reply.id] for reply in replies]
            for id_, replies in record.pending_requests.items()
        }
        # The reference says null where nothing has been asked for yet.
        expected = want["expected"] or {}
        if lost:
            awaited = {label: replies for label, replies in awaited.items() if label in expected}
        assert awaited == expected
