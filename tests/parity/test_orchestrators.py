"""Orchestrators as the reference runs them (recorded), turn by turn."""

from collections.abc import Callable
from typing import Any

import pytest

from arvo import Machine, Orchestrator, System
from arvo.statechart import Action
from tests.parity.play import Case, Play, domains_of
from tests.parity.recordings import cases, orchestrator_of, service_of


@pytest.mark.parametrize("case", cases("orchestrators.jsonl"))
def test_an_orchestrator_goes_its_way_as_the_reference_does(case: Case) -> None:
    """Each turn emits the same, and leaves the machine in the same state."""
    contract = orchestrator_of(case["self"])
    machine: Machine[Any] = Machine.from_xstate(
        _runnable(case["machine"]),
        contract=contract[case["version"]],
        services=[service_of(each) for each in case["services"].values()],
    )
    orchestrator = Orchestrator(
        [machine],
        executionunits=case["options"]["executionunits"],
        domains=domains_of(case["options"]),
    )
    play = Play(System([orchestrator], stacks=True), case)

    for turn in case["steps"]:
        before = None if play.record is None else play.record.status
        beyond = play.take(turn)
        ends = before == "active" and _forgotten(turn, case)
        assert [event.data for event in beyond] == [{}] * ends
        _check_record(play, turn["record"])


def _runnable(config: Any) -> Any:
    """Put a function in the place of each action that raises."""
    match config:
        case {"type": "throw", "message": message}:
            return _raising(message)
        case dict():
            return {key: _runnable(part) for key, part in config.items()}
        case list():
            return [_runnable(part) for part in config]
        case _:
            return config


def _raising(message: str) -> Callable[[object, object], Action]:
    def throw(context: object, event: object) -> Action:
        raise type("Error", (Exception,), {})(message)

    return throw


def _forgotten(turn: Case, case: Case) -> bool:
    """Tell where the reference forgets to complete, as a machine comes to `{}` (B16)."""
    done = (turn["record"] or {}).get("status") == "done"
    return done and case["machine"].get("output") == {}


def _check_record(play: Play, want: Case | None) -> None:
    if want is None:
        assert play.record is None
        return
    assert play.record is not None
    if want["executionStatus"] == "failure":
        # The reference forgets everything else then (B08); ours keeps the last good state (I9).
        assert play.record.status == "failed"
        return
    assert play.record.status == want["status"]
    assert isinstance(play.record.state, dict)
    assert play.record.state["value"] == want["value"]
