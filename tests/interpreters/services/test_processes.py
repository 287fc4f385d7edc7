"""Processes: a worker registers where it runs, for operators."""

import os

import pytest
from attrs import evolve

from arvo.interpreters.memory.store import InMemoryMachineMemory
from arvo.interpreters.paired.services import ServiceStore
from arvo.interpreters.ports.services import WorkerProcess, WorkerServices
from arvo.interpreters.services.this_process import (
    BUILD_VARIABLE,
    SUPERVISED_VARIABLE,
    _describe,
    supervised,
    this_process,
)
from tests.interpreters.within import within

ONE = WorkerProcess(host="a", pid=1, began="2026-01-01T00:00:00+00:00", number=2, starts=3)


def test_a_process_is_read_as_it_was_written() -> None:
    """Also by an older version, which knows less of it, and from one that wrote none."""
    services = WorkerServices("w1", {"com.a": ("1.0.0",)}, process=ONE)
    content = services.to_dict()
    newer = {**content, "process": {**content["process"], "zone": "b"}}
    older = {name: it for name, it in content.items() if name != "process"}

    read = [WorkerServices.from_dict(it).process for it in (content, newer, older)]

    assert read == [ONE, ONE, None]


def test_workers_of_a_pair_keep_their_own_processes() -> None:
    """Those of one deployment serve the same, which their registry has once."""

    async def go() -> dict[str, WorkerProcess | None]:
        store = ServiceStore(InMemoryMachineMemory())
        for name, process in (("w1", ONE), ("w2", evolve(ONE, pid=2)), ("w3", None)):
            await store.register(WorkerServices(name, {"com.a": ("1.0.0",)}, process=process))
        found = {it.worker_id: it.process for it in await store.list()}
        await store.close()
        return found

    assert within(go()) == {"w1": ONE, "w2": evolve(ONE, pid=2), "w3": None}


@pytest.mark.parametrize(
    ("value", "number", "starts"), [(supervised(2, 3), 2, 3), ("", 0, 0), ("two 3", 0, 0)]
)
def test_a_supervisor_says_how_often_it_has_started_a_worker(
    value: str, number: int, starts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is started again and again is seen in the console."""
    monkeypatch.setenv(SUPERVISED_VARIABLE, value)
    monkeypatch.setenv(BUILD_VARIABLE, "x" * 200)
    _describe.cache_clear()
    try:
        process = this_process()
    finally:
        _describe.cache_clear()

    assert (process.number, process.starts, process.pid) == (number, starts, os.getpid())
    assert process.build == "x" * 100
