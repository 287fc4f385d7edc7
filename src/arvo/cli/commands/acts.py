"""Acts: the commands that change workflows."""

from typing import Annotated

from cyclopts import Parameter

from arvo.cli.terminal.filters import ALL, DEFAULT_BATCH, Batch, Filters
from arvo.cli.terminal.load import (
    Reason,
    SystemName,
    Url,
    load_system,
    require_existing,
    user_name,
)
from arvo.cli.terminal.output import TEXT, Output, print_done, print_result
from arvo.cli.terminal.progress import batch_progress
from arvo.core.record import Record
from arvo.interpreters.runtime.client import Client


async def cancel(
    system: SystemName,
    workflow: str | None = None,
    /,
    *,
    filters: Filters = ALL,
    batch: Batch = DEFAULT_BATCH,
    reason: Reason,
    backend: Url,
    output: Output = TEXT,
) -> int:
    """Cancel a workflow and its children, or all active ones that filters select.

    Their compensations are sent. Exit code 1 if some were refused.
    """
    options = filters.select_for(workflow, batch)
    async with Client(load_system(system, backend), require_existing(backend)) as client:
        if workflow is None:
            with batch_progress() as options["on_progress"]:
                result = await client.cancel_workflows(reason, **options)
            return print_result(result, output)
        await client.cancel(workflow, reason, actor=user_name())
        return print_done(output)


async def migrate(
    system: SystemName,
    workflow: str | None = None,
    /,
    *,
    to: str,
    filters: Filters = ALL,
    batch: Batch = DEFAULT_BATCH,
    reason: Reason = "",
    backend: Url,
    output: Output = TEXT,
) -> int:
    """Migrate a workflow to another version, or all active ones that filters select.

    Exit code 1 if some were refused.

    Parameters
    ----------
    to
        The version, such as 2.0.0.
    """
    options = filters.select_for(workflow, batch)
    async with Client(load_system(system, backend), require_existing(backend)) as client:
        if workflow is None:
            with batch_progress() as options["on_progress"]:
                result = await client.migrate_workflows(to=to, reason=reason, **options)
            return print_result(result, output)
        record = await client.migrate(workflow, to=to, actor=user_name(), reason=reason)
        _show_record(record, output)
        return 0


async def revive(
    system: SystemName,
    workflow: str | None = None,
    /,
    *,
    filters: Filters = ALL,
    batch: Batch = DEFAULT_BATCH,
    backend: Url,
    output: Output = TEXT,
    after_compensation: bool = False,
    reason: Reason = "",
) -> int:
    """Revive a failed workflow, or all that filters select.

    It continues from its last good record. Exit code 1 if some were refused.

    Parameters
    ----------
    after_compensation
        Revive it even if its failure has sent compensations; they stay in effect.
    """
    options = filters.select_for(workflow, batch)
    async with Client(load_system(system, backend), require_existing(backend)) as client:
        if workflow is None:
            with batch_progress() as options["on_progress"]:
                result = await client.revive_workflows(
                    after_compensation=after_compensation, reason=reason, **options
                )
            return print_result(result, output)
        record = await client.revive(
            workflow, after_compensation=after_compensation, actor=user_name(), reason=reason
        )
        _show_record(record, output)
        return 0


async def fork(
    system: SystemName,
    workflow: str,
    /,
    *,
    at: int,
    new_id: Annotated[str | None, Parameter(name="--id")] = None,
    to: str | None = None,
    after_compensation: bool = False,
    reason: Reason,
    backend: Url,
    output: Output = TEXT,
) -> int:
    """Begin a new workflow that continues from a revision of another one.

    The first one does not change. Prints the subject of the new one.

    Parameters
    ----------
    at
        The revision, as in `arvo history`.
    new_id
        The id of the new workflow; a generated one by default.
    to
        The version to which it is migrated, such as 2.0.0.
    after_compensation
        Fork it even if the first workflow has sent compensations since; they stay in effect.
    """
    async with Client(load_system(system, backend), require_existing(backend)) as client:
        subject = await client.fork(
            workflow,
            at=at,
            new_id=new_id,
            version=to,
            after_compensation=after_compensation,
            actor=user_name(),
            reason=reason,
        )
        output.show({"subject": subject}, subject)
        return 0


def _show_record(record: Record, output: Output) -> None:
    text = f"{record.handler} {record.version} continues, revision {record.revision}"
    output.show(record.to_dict(), text)
