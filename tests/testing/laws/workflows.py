"""Workflows: small workflows for the tests of the laws."""

from typing import Any

from arvo import (
    Commands,
    Complete,
    Contract,
    Emit,
    Fail,
    OrchestratorContract,
    Resumable,
    System,
    SystemFault,
    Turn,
    Version,
    Workflow,
)

ANY: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}}}

workflow: OrchestratorContract[Any, Any] = OrchestratorContract(
    uri="#/hard/workflow",
    name="hard.workflow",
    versions={"1.0.0": Workflow(init=ANY, complete=ANY)},
)


def asking(reply: dict[str, Any], turn: Any = None) -> System:
    """Return a system of one workflow, which asks a service that replies with this schema."""
    version = Version(accepts=ANY, emits={"evt.hard.answered": reply})
    service = Contract(uri="#/hard/ask", type="com.hard.ask", versions={"1.0.0": version})
    return System([Resumable(workflow, {"1.0.0": turn or asks}, services=[service["1.0.0"]])])


def asks(turn: Turn[Any]) -> Commands:
    """Ask once, and complete with the reply."""
    if turn.input is not None:
        return Emit({"n": 1}, type="com.hard.ask")
    return Fail("no") if isinstance(turn.event.data, SystemFault) else Complete({"n": 2})
