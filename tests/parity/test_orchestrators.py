"""Orchestrators, compared turn by turn with recorded runs of the TypeScript packages."""

from collections.abc import Callable
from typing import Any

import pytest

from arvo import Machine, Orchestrator, System
from arvo.statechart import Action
from tests.parity.play import Case, Play, make_domains
from tests.parity.recordings import load_cases, make_orchestrator_contract, make_service_contract


@pytest.mark.parametrize("case", load_cases("orchestrators.jsonl"))
def test_an_orchestrator_takes_the_recorded_turns(case: Case) -> None:
    """Each turn emits the same events and leaves the machine in the same state."""
    contract = make_orchestrator_contract(case["self"])
    machine: Machine[Any] = Machine.from_xstate(
        _runnable(case["machine"]),
        contract=contract[case["version"]],
        services=[make_service_contract(service) for service in case["services"].values()],
    )
    orchestrator = Orchestrator(
        [machine],
        executionunits=case["options"]["executionunits"],
        domains=make_domains(case["options"]),
    )
    play = Play(System([orchestrator], stacks=True), case)

    for turn in case["steps"]:
        before = None if play.record is None else play.record.status
        additional = play.take(turn)
        ends = before == "active" and _lacks_completion(turn, case)
        assert [event.data for event in additional] == [{}] * ends
        _check_record(play, turn["record"])


def _runnable(config: Any) -> Any:
    """Replace each recorded action that throws by a function that raises."""
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


def _lacks_completion(turn: Case, case: Case) -> bool:
    """Return whether the recording lacks the completion: the output `{}` counted as none (B16)."""
    done = (turn["record"] or {}).get("status") == "done"
    return done and case["machine"].get("output") == {}


def _check_record(play: Play, expected: Case | None) -> None:
    if expected is None:
        assert play.record is None
        return
    assert play.record is not None
    if expected["executionStatus"] == "failure":
        # B08: the recorded record loses everything else; here the last good state stays (I9).
        assert play.record.status == "failed"
        return
    assert play.record.status == expected["status"]
    assert isinstance(play.record.state, dict)
    assert play.record.state["value"] == expected["value"]
