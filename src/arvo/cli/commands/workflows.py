"""Workflows: the commands that list and describe workflows."""

from functools import partial
from typing import Annotated

from attrs import asdict
from cyclopts import Parameter

from arvo.cli.terminal.errors import UsageError
from arvo.cli.terminal.filters import ALL, Filters
from arvo.cli.terminal.load import (
    EMPTY_SYSTEM,
    Url,
    require_existing,
)
from arvo.cli.terminal.output import TEXT, Output
from arvo.cli.terminal.pages import paged
from arvo.core.record import Status
from arvo.interpreters.http.workflow_json import to_json
from arvo.interpreters.ports.results import PAGE_MAX
from arvo.interpreters.runtime.client import Client


async def workflows(
    *,
    filters: Filters = ALL,
    backend: Url,
    status: Status | None = None,
    limit: int = PAGE_MAX,
    output: Output = TEXT,
) -> None:
    """List workflows, the most recently changed first.

    Parameters
    ----------
    status
        Only those that are active, done, failed or cancelled.
    """
    selected = filters.select()
    selected["status"] = status
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        fetch = partial(client.workflows, type=filters.type, **selected)
        async for workflow in paged(fetch, limit):
            output.show(workflow.record.to_dict(), str(workflow))


async def timers(
    *,
    type: str | None = None,  # noqa: A002 - the wire's word
    limit: int = PAGE_MAX,
    backend: Url,
    output: Output = TEXT,
) -> None:
    """List the timers that have not fired, the next one first; late ones are before it.

    Parameters
    ----------
    type
        Only those of one workflow type, such as arvo.orc.order.
    """
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        fetch = partial(client.timers, type=type)
        async for timer in paged(fetch, limit):
            due = timer.due.isoformat(timespec="milliseconds")
            output.show({**asdict(timer), "due": due}, str(timer))


async def versions(
    *,
    expect_none: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    backend: Url,
    output: Output = TEXT,
) -> int:
    """Count the active and the failed workflows by handler and version.

    Parameters
    ----------
    expect_none
        Exit with code 1 if a workflow of HANDLER@VERSION, such as arvo.orc.order@1.0.0, is active:
        a deployment may not leave it out.
    """
    if missing := [each for each in expect_none if not all(each.partition("@"))]:
        raise UsageError(f"--expect-none: expected HANDLER@VERSION, got {missing[0]!r}")
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        uses = await client.versions()
    for use in uses:
        output.show(asdict(use), str(use))
    return int(any(use.active and f"{use.handler}@{use.version}" in expect_none for use in uses))


async def describe(workflow: str, /, *, backend: Url, output: Output = TEXT) -> None:
    """Describe a workflow: its status, what it waits for and since when, and its failure.

    WORKFLOW is its workflow id or its subject, in each command.
    """
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        description = await client.describe(workflow)
    output.show(to_json(description), str(description))


async def history(workflow: str, /, *, backend: Url, output: Output = TEXT) -> None:
    """Print every event that a workflow has consumed and produced, in order."""
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        for entry in await client.history(workflow):
            output.show(entry.to_dict(), str(entry))


async def audit(
    workflow: str | None = None,
    /,
    *,
    backend: Url,
    limit: int = PAGE_MAX,
    output: Output = TEXT,
) -> None:
    """Print who has acted on workflows and dead letters, when and why, the newest first.

    WORKFLOW: only the acts on this one.
    """
    async with Client(EMPTY_SYSTEM, require_existing(backend)) as client:
        fetch = partial(client.audit_log, workflow=workflow)
        async for entry in paged(fetch, limit):
            output.show(entry.to_dict(), str(entry))
