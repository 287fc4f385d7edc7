"""Counting: a workflow that lasts for as many signals as its begin names, to be watched."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Annotated, Any

from attrs import frozen

from arvo import (
    Client,
    Contract,
    Event,
    Flow,
    HistoryEntry,
    Secret,
    System,
    Version,
    WorkflowEnded,
    tell,
    wait_for,
    workflow,
)


@frozen
class Begin:
    signals: int
    pin: Annotated[str, Secret()] = "0000"


@frozen
class Tick:
    number: int


@frozen
class Noted:
    number: int


@frozen
class Counted:
    pin: Annotated[str, Secret()]


tick = Contract(
    uri="#/contracts/tick",
    type="com.count.tick",
    versions={"1.0.0": Version(accepts=Tick, emits={"evt.count.noted": Noted})},
)


@workflow("count.ticks", signals=[tick["1.0.0"]])
def count(request: Begin) -> Flow[Counted]:
    for _ in range(request.signals):
        signal = yield from wait_for(Tick)
        yield from tell(Noted(signal.number))
    if request.signals == 13:
        raise ValueError("thirteen")
    return Counted(request.pin)


system = System([count])


def begin_count(signals: int, id_: str = "count-1", pin: str = "0000") -> Event[Begin]:
    """Make the event that begins a count."""
    return count["1.0.0"].init(Begin(signals, pin), source="com.test.client", workflow_id=id_)


async def watched(
    client: Client, workflow_id: str, after: int = -1, items_max: int | None = None
) -> list[Any]:
    """Return what a watcher gets, at most *items_max* items of it."""
    items: list[Any] = []
    async with aclosing(client.watch(workflow_id, after=after)) as stream:
        while len(items) != items_max and (item := await anext(stream, None)) is not None:
            items.append(item)
    return items


def positions(items: Sequence[Any]) -> list[int]:
    """Return the positions of the history entries among what a watcher got."""
    return [item.position for item in items if isinstance(item, HistoryEntry)]


def ended(items: Sequence[Any]) -> WorkflowEnded:
    """Return the last item, which is the only one of its kind."""
    *_, last = items
    assert [item for item in items if isinstance(item, WorkflowEnded)] == [last]
    return last  # type: ignore[no-any-return]
