"""Recordings: recorded cases of the TypeScript packages, from a folder of JSON Lines."""

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
    """Return the folder of the recordings: ARVO_PARITY, the shared one, or the sample in here."""
    path = os.environ.get("ARVO_PARITY")
    return Path(path) if path else SHARED if SHARED.is_dir() else SAMPLE


def load_cases(name: str) -> list[Any]:
    """Load the cases of a file as test parameters; none if the file is missing."""
    return [pytest.param(case, id=f"{name}:{number}") for number, case in _read_lines(name)]


def _read_lines(name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    path = folder() / name
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, json.loads(line)


def make_contract(recorded: Mapping[str, Any]) -> Contract[Any]:
    """Build the recorded contract."""
    return Contract(
        uri=recorded["uri"],
        type=recorded["type"],
        domain=recorded.get("domain"),
        versions={
            number: Version(accepts=version["accepts"], emits=version["emits"])
            for number, version in recorded["versions"].items()
        },
    )


def make_orchestrator_contract(recorded: Mapping[str, Any]) -> OrchestratorContract[Any, Any]:
    """Build the recorded workflow contract."""
    return OrchestratorContract(
        uri=recorded["uri"],
        name=recorded["name"],
        domain=recorded.get("domain"),
        versions={
            number: Workflow(init=version["init"], complete=version["complete"])
            for number, version in recorded["versions"].items()
        },
    )


def make_service_contract(recorded: Mapping[str, Any]) -> VersionedContract[Any]:
    """Build the recorded contract version of a service."""
    if "orchestrator" in recorded:
        return make_orchestrator_contract(recorded["orchestrator"])[recorded["version"]]
    return make_contract(recorded["contract"])[recorded["version"]]


def describe_subject(
    subject: str, expected: Mapping[str, Any], known: Mapping[str, str | None]
) -> dict[str, Any]:
    """Describe a subject as the recording does: by the name of a known one, or by its content."""
    if "literal" in expected:
        return {"literal": subject}
    if "same" in expected:
        names = [name for name, text in known.items() if text == subject]
        return {"same": expected["same"] if expected["same"] in names else names or subject}
    content = Subject.parse(subject).to_dict()
    content["execution"]["id"] = MASKED
    return {"decoded": content}


def raise_recorded(thrown: Mapping[str, Any]) -> NoReturn:
    """Raise the error that the recorded handler threw."""
    kinds: dict[str, type[ContractViolation | ConfigViolation | ExecutionViolation]] = {
        "Contract": ContractViolation,
        "Config": ConfigViolation,
        "Execution": ExecutionViolation,
    }
    if thrown["kind"] == "violation":
        raise Violated(kinds[thrown["type"]](thrown["message"]))
    raise type(thrown["name"], (Exception,), {})(thrown["message"])
