"""Laws of a rolling deploy: which events a worker hands over follows from the versions alone."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arvo import (
    Commit,
    Contract,
    Event,
    EventHandler,
    MemoryBackend,
    OrchestratorContract,
    Resumable,
    System,
    Version,
    Workflow,
)
from arvo.engine.step.step import step_plain
from arvo.engine.system.missing import ServiceVersion, missing_service
from arvo.interpreters.calls.listeners import Listeners
from arvo.interpreters.ports.services import WorkerServices
from arvo.interpreters.services.directory import ServiceDirectory
from arvo.interpreters.services.registrations import decode_services, encode_services
from tests.shop import NOW

DATA: Final[Mapping[str, Any]] = {"type": "object"}
numbers = st.sampled_from([f"{major}.{minor}.0" for major in range(1, 4) for minor in range(2)])
version_sets = st.sets(numbers, min_size=1)


def make_system(versions: set[str], workflow_versions: set[str]) -> System:
    """Make a system with an event handler and a workflow of these versions."""
    contract = Contract(
        uri="#/law/ask",
        type="com.law.ask",
        versions={number: Version(accepts=DATA, emits={}) for number in versions},
    )
    orchestrator = OrchestratorContract(
        uri="#/law/run",
        name="law.run",
        versions={number: Workflow(init=DATA, complete=DATA) for number in workflow_versions},
    )
    return System(
        [
            EventHandler(contract, {number: lambda _: None for number in versions}),
            Resumable(
                orchestrator, {number: lambda _: None for number in workflow_versions}, services=[]
            ),
        ]
    )


def events_of(version: str) -> list[Event[Any]]:
    """Make an event of a version for the event handler, and one that starts the workflow."""
    everything = make_system({version}, {version})
    ask: Any = everything.handlers[0].contract
    start: Any = everything.handlers[1].contract
    return [
        ask[version].accepts({}, source="com.law.web", id="e1"),
        start[version].init({}, source="com.law.web", workflow_id="w1"),
    ]


@pytest.mark.promise("I5", "I8")
@given(version_sets, version_sets, numbers)
def test_a_version_is_missing_if_and_only_if_the_step_refuses_it(
    versions: set[str], workflow_versions: set[str], version: str
) -> None:
    """What a worker can decide it decides; it hands over only what it cannot."""
    system = make_system(versions, workflow_versions)

    for event, known in zip(events_of(version), (versions, workflow_versions), strict=True):
        missing = missing_service(system, event, None)
        decided = step_plain(system, event, None, now=NOW)

        assert isinstance(decided, Commit) == (missing is None) == (version in known)
        if missing is not None:
            assert missing == ServiceVersion(event.to or "", version)


@given(version_sets, version_sets, numbers)
def test_a_worker_registers_exactly_what_it_does_not_miss(
    versions: set[str], workflow_versions: set[str], version: str
) -> None:
    """Otherwise an event would go round for ever between workers that all lack its version."""
    system = make_system(versions, workflow_versions)
    services = ServiceDirectory(system, MemoryBackend(), Listeners(1)).own

    for event in events_of(version):
        is_missing = missing_service(system, event, None) is not None
        assert services.serves(event.to or "", version) == (not is_missing)


@given(
    st.lists(
        st.builds(
            WorkerServices, st.text(), st.dictionaries(st.text(), st.builds(tuple, version_sets))
        )
    )
)
def test_registered_services_survive_a_store(services: list[WorkerServices]) -> None:
    """Other processes read them from there."""
    assert list(decode_services(encode_services(services))) == services
