"""Recordings: the cases that the reference was recorded in, from a folder of JSON Lines."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

from arvo import (
    ConfigViolation,
    Contract,
    ContractViolation,
    ExecutionViolation,
    OrchestratorContract,
    Subject,
    Version,
    VersionedContract,
    Violated,
    Workflow,
)

HERE = Path(__file__).parent.parent
SHARED = HERE.parent.parent / "shared" / "parity"
SAMPLE = HERE / "data" / "parity"

MASKED = "<id>"
TIME = "2026-01-02T03:04:05.678+00:00"


def folder() -> Path:
    """Where the recordings are: ARVO_PARITY, the shared folder, or the sample of a lone clone."""
    named = os.environ.get("ARVO_PARITY")
    return Path(named) if named else SHARED if SHARED.is_dir() else SAMPLE


def cases(name: str) -> list[Any]:
    """Load a file's lines as parameters, each named by its line; what a folder lacks is not run."""
    return [pytest.param(case, id=f"{name}:{number}") for number, case in _lines(name)]


def _lines(name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    path = folder() / name
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, json.loads(line)


def contract_of(recorded: Mapping[str, Any]) -> Contract[Any]:
    """Build a contract as the recording describes it."""
    return Contract(
        uri=recorded["uri"],
        type=recorded["type"],
        domain=recorded.get("domain"),
        versions={
            number: Version(accepts=version["accepts"], emits=version["emits"])
            for number, version in recorded["versions"].items()
        },
    )


def orchestrator_of(recorded: Mapping[str, Any]) -> OrchestratorContract[Any, Any]:
    """Build an orchestrator's contract as the recording describes it."""
    return OrchestratorContract(
        uri=recorded["uri"],
        name=recorded["name"],
        domain=recorded.get("domain"),
        versions={
            number: Workflow(init=version["init"], complete=version["complete"])
            for number, version in recorded["versions"].items()
        },
    )


def service_of(recorded: Mapping[str, Any]) -> VersionedContract[Any]:
    """Build the contract version that a workflow asks."""
    if "orchestrator" in recorded:
        return orchestrator_of(recorded["orchestrator"])[recorded["version"]]
    return contract_of(recorded["contract"])[recorded["version"]]


def subject_said(
    subject: str, expected: Mapping[str, Any], known: Mapping[str, str | None]
) -> dict[str, Any]:
    """Say a subject in the recording's words: the same as a known one, or its masked content."""
    if "literal" in expected:
        return {"literal": subject}
    if "same" in expected:
        names = [name for name, text in known.items() if text == subject]
        return {"same": expected["same"] if expected["same"] in names else names or subject}
    content = Subject.parse(subject).to_dict()
    content["execution"]["id"] = MASKED
    return {"decoded": content}


def raise_recorded(thrown: Mapping[str, Any]) -> NoReturn:
    """Raise what the recorded handler threw."""
    kinds: dict[str, type[ContractViolation | ConfigViolation | ExecutionViolation]] = {
        "Contract": ContractViolation,
        "Config": ConfigViolation,
        "Execution": ExecutionViolation,
    }
    if thrown["kind"] == "violation":
        raise Violated(kinds[thrown["type"]](thrown["message"]))
    raise type(thrown["name"], (Exception,), {})(thrown["message"])
