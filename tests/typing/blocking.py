"""Types of the methods that block: checked by the type checker, never run."""

from typing import Any, assert_type

from arvo import (
    BlockingClient,
    BlockingRuntime,
    Client,
    Event,
    HistoryEntry,
    Record,
    Report,
    Runtime,
    Stats,
    StoredWorkflow,
    System,
    WorkflowEnded,
    blocking,
)


def work(system: System) -> None:
    with blocking(Client(system, "memory:")) as client:
        assert_type(client, BlockingClient)
        assert_type(client.record("order-1"), Record | None)
        assert_type(client.workflows(status="active", limit=5), tuple[StoredWorkflow, ...])
        assert_type(client.history("order-1"), tuple[HistoryEntry, ...])
        items = client.watch("order-1", after=3)
        assert_type(next(items), HistoryEntry | Report | WorkflowEnded)
        client.signal("order-1", {}, actor="ann")
        client.signal("order-1", {}, unknown=1)  # type: ignore[call-arg]
        client.describe(1)  # type: ignore[arg-type]
    with blocking(Runtime(system)) as runtime:
        assert_type(runtime, BlockingRuntime)
        assert_type(runtime.drain(timeout=1), Stats)


def answer(runtime: BlockingRuntime, event: Event[Any]) -> Event[Any]:
    return runtime.request(event, timeout=1.0)
