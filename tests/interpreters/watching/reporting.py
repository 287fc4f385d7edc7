"""Reporting: workflows whose effects report, to be watched."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any, final

from attrs import define, field, frozen

from arvo import Client, Flow, Report, Retry, Runtime, System, call, report, workflow
from arvo.handlers.flow.function import WorkflowFunction


@frozen
class Begin:
    name: str


@frozen
class Ended:
    name: str


def reporting(
    function: Callable[..., Any], *args: Any, retry: Retry | None = None, timeout: Any = None
) -> WorkflowFunction[Begin, Ended]:
    """Make a workflow that calls a function, and ends."""

    @workflow("report.all")
    def reports_all(request: Begin) -> Flow[Ended]:
        yield from call(function, *args, retry=retry, timeout=timeout)
        return Ended(request.name)

    return reports_all


@final
@define(eq=False)
class Watcher:
    """Watches a workflow, and lets its effects wait until it does."""

    is_watching: asyncio.Event = field(factory=asyncio.Event)
    has_report: asyncio.Event = field(factory=asyncio.Event)
    items: list[Any] = field(factory=list)

    async def follow(self, client: Client, subject: str) -> None:
        """Watch a workflow until it ends."""
        async with aclosing(client.watch(subject)) as stream:
            async for item in stream:
                if isinstance(item, Report) and item.value == WAITING:
                    self.is_watching.set()
                    continue
                self.items.append(item)
                if isinstance(item, Report):
                    self.has_report.set()

    async def started(self) -> None:
        """Report until the watcher gets that; for an effect to call."""
        while not self.is_watching.is_set():
            report(WAITING)
            await asyncio.sleep(0.005)

    @property
    def reports(self) -> list[Report]:
        """The reports that it got."""
        return [item for item in self.items if isinstance(item, Report)]

    @property
    def values(self) -> list[Any]:
        """Their values."""
        return [each.value for each in self.reports]


# What an effect reports while none watches.
WAITING = "waiting"


async def run_watched(
    watcher: Watcher,
    flow: WorkflowFunction[Begin, Ended],
    backend: Any = "memory:",
    others: Sequence[Any] = (),
) -> Sequence[Any]:
    """Run a workflow to its end beside a watcher, and return what that got."""
    event = flow["1.0.0"].init(Begin("one"), source="com.test.client", workflow_id="report-1")
    async with Runtime(System([flow, *others]), backend) as runtime, asyncio.TaskGroup() as group:
        group.create_task(watcher.follow(runtime, event.subject))
        await runtime.send(event)
    return watcher.items
