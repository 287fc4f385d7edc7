"""Act: an act on many workflows or dead letters, and its selection of them."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final, Literal, TypeAlias, final

from attrs import frozen

from arvo.console.views.dead_letters import Selection
from arvo.console.views.filters import Filters
from arvo.core.record import Record, Status
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.runtime.batches import (
    BatchOptions,
    BatchResult,
    DeadLetterBatchOptions,
    OnProgress,
)
from arvo.interpreters.runtime.client import Client

WorkflowVerb: TypeAlias = Literal["cancel", "revive", "migrate"]
DeadLetterVerb: TypeAlias = Literal["retry", "drop"]

# The status of the workflows on which each verb has an effect.
STATUS_OF: Final[Mapping[WorkflowVerb, Status]] = {
    "cancel": "active",
    "revive": "failed",
    "migrate": "active",
}
# Rows that a person can select one by one; more are selected by a filter.
SELECTED_MAX: Final = 1_000


@final
@frozen(kw_only=True)
class Run:
    """How an act is carried out: by whom, why, and its callbacks.

    *check* is awaited before each one and may refuse it, *on_progress* is called after each one.
    """

    is_dry_run: bool
    actor: str | None
    reason: str
    check: Callable[[Record | DeadLetter], Awaitable[None]]
    on_progress: OnProgress


@final
@frozen(kw_only=True)
class WorkflowAct:
    """An act on workflows that were *selected* one by one, or on all that *filters* select.

    *selected*: their subjects. *at*: the time from which a filter counts back. *to*: the version to
    migrate to. *after_compensation*: whether a workflow whose failure may have sent compensations
    is revived.
    """

    verb: WorkflowVerb
    filters: Filters
    at: datetime
    selected: tuple[str, ...] | None = None
    to: str = ""
    after_compensation: bool = False

    async def perform(self, client: Client, run: Run) -> BatchResult:
        """Carry the act out; raises as the client does."""
        options: BatchOptions = {
            "check": run.check,
            "dry_run": run.is_dry_run,
            "on_progress": run.on_progress,
            "actor": run.actor,
        }
        if self.selected is None:
            options.update(self.filters.of_batch(self.at))
        else:
            options["subjects"] = self.selected
        match self.verb:
            case "cancel":
                return await client.cancel_workflows(run.reason, **options)
            case "revive":
                return await client.revive_workflows(
                    after_compensation=self.after_compensation, reason=run.reason, **options
                )
            case "migrate":
                return await client.migrate_workflows(to=self.to, reason=run.reason, **options)


@final
@frozen(kw_only=True)
class DeadLetterAct:
    """An act on dead letters that were *selected* one by one, by id, or on all of a *selection*."""

    verb: DeadLetterVerb
    selection: Selection
    selected: tuple[str, ...] | None = None

    async def perform(self, client: Client, run: Run) -> BatchResult:
        """Carry the act out; raises as the client does."""
        options: DeadLetterBatchOptions = {
            "check": run.check,
            "dry_run": run.is_dry_run,
            "on_progress": run.on_progress,
            "actor": run.actor,
            "reason": run.reason,
        }
        if self.selected is None:
            options = {**self.selection.filters, **options}
        else:
            options["ids"] = self.selected
        match self.verb:
            case "retry":
                return await client.redrive_dead_letters(**options)
            case "drop":
                return await client.delete_dead_letters(**options)


Act: TypeAlias = WorkflowAct | DeadLetterAct
