"""Filters: the options by which commands select workflows, and of acts on many."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeAlias, final

from attrs import frozen
from cyclopts import Parameter

from arvo.cli.terminal.errors import UsageError
from arvo.cli.terminal.load import DryRun, Every, user_name
from arvo.interpreters.ports.results import WorkflowFilters
from arvo.interpreters.runtime.batches import BATCH_MAX, BatchOptions


@final
@frozen(kw_only=True)
class _Batch:
    """How an act on many is done.

    Parameters
    ----------
    every
        Act on all of them.
    limit
        The most that are acted on.
    """

    every: Every = False
    dry_run: DryRun = False
    limit: int = BATCH_MAX


Batch: TypeAlias = Annotated[_Batch, Parameter("*")]
DEFAULT_BATCH: Final = _Batch()


@final
@frozen(kw_only=True)
class _Filters:
    """Which workflows.

    Parameters
    ----------
    type
        Only runs of one workflow type, such as arvo.orc.order.
    version
        Only those that run this version, such as 1.0.0.
    id
        Only runs with this workflow id.
    label
        Only those with this label, such as customer=ann; several must all be there.
    text
        Only those with this text in their workflow id or in a label.
    unchanged_for
        Only those that have not changed for this many seconds.
    """

    type: str | None = None
    version: str | None = None
    id: str | None = None
    label: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    text: str | None = None
    unchanged_for: float | None = None

    def select(self) -> WorkflowFilters:
        """Return them as the client takes them, without the type."""
        if missing := [each for each in self.label if "=" not in each]:
            raise UsageError(f"--label: expected name=value, got {missing[0]!r}")
        since = self.unchanged_for
        return {
            "version": self.version,
            "workflow_id": self.id,
            "labels": dict(each.split("=", 1) for each in self.label),
            "text": self.text,
            "unchanged_since": None
            if since is None
            else datetime.now(UTC) - timedelta(seconds=since),
        }

    def select_for(self, workflow: str | None, batch: _Batch) -> BatchOptions:
        """Return the options of an act on many; raise `UsageError` if it names one, or nothing."""
        if (workflow is not None) + (self != ALL) + batch.every != 1:
            raise UsageError("expected a WORKFLOW, or filters such as --type, or --all")
        return {
            **self.select(),
            "type": self.type,
            "subjects": None,
            "check": None,
            "dry_run": batch.dry_run,
            "limit": batch.limit,
            "on_progress": None,
            "actor": user_name(),
        }


Filters: TypeAlias = Annotated[_Filters, Parameter("*")]
ALL: Final = _Filters()
