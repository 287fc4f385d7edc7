"""Job: one act on many, or its dry run, as it is carried out."""

import asyncio
from datetime import datetime
from typing import Final, Literal, TypeAlias, final

from attrs import define, field

from arvo.console.jobs.act import Act
from arvo.core.record import Record
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.runtime.batches import BatchResult

Outcome: TypeAlias = Literal["running", "done", "stopped", "failed"]
# Of all that an act is for, its page names so many.
SAMPLES_MAX: Final = 10


class Stopped(Exception):
    """An operator, or the end of the process, stops a job before its next item."""


@final
@define(eq=False, kw_only=True)
class Job:
    """One act on many, or its dry run.

    *target*: its selection in words, and *command*: the one that does the same; both as the user
    may see them who began it. *result*: how far it has come. *problem*: why it ended, if its
    *outcome* is `failed`. *samples*: the ids of the first that it was for. *follower*: the id of
    the job that a dry run led to.
    """

    id: str
    act: Act
    is_dry_run: bool
    actor: str | None
    reason: str
    target: str
    command: str
    began: datetime
    ended: datetime | None = None
    outcome: Outcome = "running"
    problem: str = ""
    result: BatchResult = field(factory=BatchResult)
    samples: list[str] = field(factory=list)
    follower: str | None = None
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)
    is_stopping: bool = False

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.outcome == "running"

    def stop(self) -> None:
        """Let no further act begin. Those in progress are completed; a second call breaks them off.

        While none is in progress, and in a dry run, there is nothing to complete.
        """
        has_begun = bool(self.samples) and not self.is_dry_run
        if self.task is not None and (self.is_stopping or not has_begun):
            self.task.cancel()
        self.is_stopping = True

    def begin(self, item: Record | DeadLetter) -> None:
        """Note that *item* is next; raises `Stopped`."""
        if self.is_stopping:
            raise Stopped
        if len(self.samples) < SAMPLES_MAX:
            self.samples.append(item.subject if isinstance(item, Record) else item.id)

    def on_progress(self, result: BatchResult) -> None:
        """Note how far it has come."""
        self.result = result
