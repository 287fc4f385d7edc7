"""Backend: the protocol that a storage backend implements."""

from collections.abc import Sequence
from typing import Any, Protocol, Unpack, runtime_checkable

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.interpreters.ports.audit import AuditEntry
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message
from arvo.interpreters.ports.results import (
    HISTORY_PAGE_MAX,
    PAGE_MAX,
    CheckpointResult,
    CommitResult,
    Committed,
    Conflict,
    DeadLetterFilters,
    DeadLetterGroup,
    DeadLetterResult,
    Depth,
    DueTimer,
    Duplicate,
    Fenced,
    IdReused,
    StoredWorkflow,
    VersionUse,
    WorkflowFilters,
)


class Backend(Protocol):
    """Stores records, delivers messages, and applies each commit as one transaction.

    **Durability.** When `send`, `commit`, `redrive`, `replace_record` or `dead_letter` has
    returned, its effect survives every failure that the backend promises to survive.

    **Delivery.** Every message is delivered at least once: again after `nack` or `defer`, and again
    when a worker dies before it settles the delivery. Messages without a key are delivered in the
    order in which they were accepted, to any number of workers at the same time.

    **Order.** Messages with the same `ToHandler.key` are delivered one at a time, in the order in
    which they were accepted, by however many processes. A message that was returned by `nack`, or
    whose worker died, keeps its place: those behind it wait until it was delivered again and was
    acknowledged or dead-lettered. Messages of other keys do not wait. Only two kinds of message
    hold back none: a timer that is not due, and a message that was returned by `defer`.

    **Errors.** Every operation raises `Unavailable` when a retry can succeed, and `Corrupt` when an
    operator must act. `send` and `redrive` also raise `TooLarge` for an event above
    `EVENT_BYTES_MAX`, which no step emits, or above a lower limit of a broker. A driver's own
    exceptions do not leave the backend.

    **Several processes.** Several processes may share one backend. Each uses its own object, in one
    event loop. Read `arvo.interpreters.memory.backend` before you write your own, and prove yours
    with `arvo.testing.BackendConformance`.
    """

    async def send(self, message: Message) -> None:
        """Accept a message from outside. On return it is durable.

        Waits while the queue is full, and so slows down the sender; it never drops a message.
        Raises `Unavailable` if the backend is closed before it accepts the message.
        """
        ...

    async def receive(self, queue: str) -> Delivery:
        """Wait for the next message of a queue, and deliver it.

        *queue* is a handler's address, `OUTBOUND_QUEUE` or `REPLY_QUEUE` (see `queue_of`). The
        caller owns the delivery until it acknowledges it. A cancelled call loses no message.
        """
        ...

    async def load(self, subject: str) -> Record | None:
        """Return the newest record of a workflow, or None if there is none.

        It includes every commit that has returned before, in any process.
        """
        ...

    async def commit(
        self,
        delivery: Delivery,
        commit: Commit,
        messages: Sequence[Message],
        dead_letters: Sequence[DeadLetter],
    ) -> CommitResult:
        """Apply a step's commit as one transaction: all of it, or nothing.

        The transaction

        1. writes the commit's `record`, if it has one, and its history entries;
        2. marks the event as consumed by this handler for this subject, with its `inbox_digest`;
        3. accepts *messages* and stores *dead_letters*;
        4. sets the commit's `timers` and deletes its `cleared_timers`;
        5. acknowledges *delivery*.

        A timer is delivered as the message `timer_message(commit, timer)`: not before it is due,
        and not after it was cleared.

        Returns `Committed`, or one of six refusals that apply nothing:

        - `Conflict`: the stored revision is not the commit's `expected` (0: no record). The
          delivery stays with the worker, which loads the record and steps again. A commit that has
          no record and expects 0 belongs to no workflow; its revision is not compared.
        - `Duplicate`: this handler has consumed this event (by source and id) for this subject
          before. The delivery is acknowledged.
        - `IdReused`: as `Duplicate`, but the event that was consumed has another `inbox_digest`
          (`compare_digests`). The delivery stays with the worker, which stores the event as a dead
          letter if it comes from outside.
        - `Fenced`: the lease expired, and the delivery belongs to another worker. The caller
          forgets it.
        - `CancellationPending`: `pending_cancellation` returns an event for *delivery*, and the
          commit changes the record without being that of a cancellation itself
          (`yields_to_cancellation`). The delivery stays with the worker, which commits the turn of
          that event in place of this one: the delivery is acknowledged, and the cancellation is a
          duplicate when it is delivered.
        - `WorkflowIdTaken`: the commit begins a run with a chosen workflow id (`begun_id`), and
          another run of the handler has that id (`find_other_run`), also one whose commit is under
          way in another process. The delivery stays with the worker, which refuses the event.
        """
        ...

    async def pending_cancellation(self, delivery: Delivery) -> Event[Any] | None:
        """Return the oldest cancellation of a delivery's workflow that was accepted and has not
        been acknowledged, or None.

        A cancellation is a message for which `is_cancellation` is True. It is pending from the
        moment in which the operation that accepted it returns, also where it was deferred. Those
        that the workflow has consumed, and those in the delivery's `Progress.passed_over`, are left
        out.

        While a worker has a delivery and a cancellation with the same key arrives in its process,
        the backend may call `Progress.on_cancellation`. A worker does not rely on that: while an
        effect runs it asks again and again.
        """
        ...

    async def checkpoint(self, delivery: Delivery, progress: bytes) -> CheckpointResult:
        """Store the results of a step's effects with its delivery, in place of those before.

        On return they are durable: when the message is delivered again, in any process, its
        `Delivery.progress` holds *progress*. It is deleted when the delivery is acknowledged.
        *progress* is JSON of at most `PROGRESS_BYTES_MAX` bytes; no bytes delete it.

        Returns `Committed`, or `Fenced` as `commit` does: then nothing is stored, and the caller
        forgets the delivery.
        """
        ...

    async def workflows(
        self,
        *,
        handler: str | None = None,
        after: StoredWorkflow | None = None,
        limit: int = PAGE_MAX,
        **filters: Unpack[WorkflowFilters],
    ) -> tuple[StoredWorkflow, ...]:
        """List at most *limit* workflows, the most recently changed first.

        Workflows that changed at the same time are sorted by subject, descending. *status* and
        *handler* select workflows with that status and handler, *workflow_id* those whose subject
        has it (`workflow_id_of`), at a cost that does not grow with the number of the others.
        *version* selects those that run this version of their handler's contract.
        *labels* selects those that have all of these labels, compared by `label_text`, and *text*
        those whose workflow id, or one of whose labels as `name=value`, contains it.
        *unchanged_since* selects those that changed before that time. *after* is the last workflow
        of the previous page.
        """
        ...

    async def versions(self) -> tuple[VersionUse, ...]:
        """Count the active and the failed workflows by handler and version, sorted by these.

        Raises `Violated` as `workflows` does in a backend that cannot list.
        """
        ...

    async def timers(
        self, *, handler: str | None = None, after: DueTimer | None = None, limit: int = PAGE_MAX
    ) -> tuple[DueTimer, ...]:
        """List at most *limit* timers that have not fired, the next one first; at the same time, by
        id.

        One that is late is first: no process that runs the workflow has looked since. *handler*:
        only those of workflows of this handler. *after*: the last timer of the previous page.
        Raises `Violated` as `workflows` does in a backend that cannot list.
        """
        ...

    async def workflow(self, subject: str) -> StoredWorkflow | None:
        """Return one workflow as `workflows` lists it, or None if there is none."""
        ...

    async def history(
        self, subject: str, *, before: int | None = None, limit: int = HISTORY_PAGE_MAX
    ) -> tuple[HistoryEntry, ...]:
        """Return the newest *limit* entries of a workflow's history, oldest first.

        With *before*, only entries at a lower position. Each commit with a record adds one entry
        for the consumed event and one for each event it produced; each `replace_record` adds one.
        A backend may drop the oldest entries.
        """
        ...

    async def replace_record(
        self,
        record: Record,
        expected: int,
        *,
        timers: Sequence[PendingTimer] = (),
        redeliver: Sequence[Event[Any]] = (),
    ) -> Committed | Conflict:
        """Replace a record outside any delivery, as one transaction with a compare-and-set.

        Sets *timers*, and sends the events in *redeliver*, in their order, to the record's handler.
        Both are removed
        from the consumed events first, so that the handler consumes them once more. Returns
        `Conflict` and changes nothing if the stored revision is not *expected*. The new record's
        revision is higher than *expected*, so a step that was decided on the old one conflicts.
        """
        ...

    async def ack(self, delivery: Delivery) -> None:
        """Acknowledge a delivery that needs no commit: its event has left the system."""
        ...

    async def nack(self, delivery: Delivery, delay: float) -> None:
        """Return a delivery, to be delivered again after *delay* seconds with one more attempt.

        It keeps its key: the messages behind it wait. If this raises `Unavailable`, the message is
        delivered again all the same.
        """
        ...

    async def defer(self, delivery: Delivery, delay: float) -> None:
        """Return a delivery that came before its time; the messages of its key pass it meanwhile.

        A timer that is not due, or an event for a workflow that has not started: the message that
        starts it may be behind. Otherwise as `nack`.
        """
        ...

    async def dead_letter(
        self, delivery: Delivery | None, dead_letter: DeadLetter
    ) -> DeadLetterResult:
        """Store a dead letter and acknowledge its delivery, if there is one, in one transaction.

        Returns `Committed`, or a refusal, after which no dead letter is stored: `Fenced`, or
        `Duplicate` where the event was consumed after all; then the delivery is acknowledged.
        """
        ...

    async def dead_letters(
        self,
        *,
        after: DeadLetter | None = None,
        limit: int = PAGE_MAX,
        **filters: Unpack[DeadLetterFilters],
    ) -> tuple[DeadLetter, ...]:
        """List at most *limit* dead letters, oldest first; at the same time, by id.

        *after* is the last dead letter of the previous page; it may have been deleted since.
        *subject* selects those whose event has that subject, at a cost that does not grow with the
        number of the others. *handler* and *cause* select those with that `DeadLetter.handler` and
        `DeadLetter.cause`, *type* those whose event has that type, *text* those whose cause
        contains it, and *since* those of that time or later.
        """
        ...

    async def dead_letter_groups(
        self, *, limit: int = PAGE_MAX, **filters: Unpack[DeadLetterFilters]
    ) -> tuple[DeadLetterGroup, ...]:
        """Count the dead letters that `dead_letters` selects by the same *filters*, in groups with
        the same cause, handler and type; return the *limit* largest groups, the largest first.

        Groups of the same size are sorted by cause, handler and type. No dead letter is decoded:
        20,000 of them are counted in a fraction of a second.
        """
        ...

    async def find_dead_letter(self, id: str) -> DeadLetter | None:  # noqa: A002 - as `DeadLetter.id`
        """Return the dead letter with that id, or None if there is none."""
        ...

    async def redrive(self, id: str, messages: Sequence[Message]) -> bool:  # noqa: A002 - as `DeadLetter.id`
        """Delete a dead letter and accept *messages* in its place, in one transaction.

        Return False, and accept nothing, if there is no dead letter with that *id*. No messages:
        the dead letter is only deleted.
        """
        ...

    async def record_act(self, entry: AuditEntry) -> None:
        """Store the act that an operator is about to do. On return it is durable.

        A backend removes the oldest entries above AUDIT_MAX, or a lower number, and those that are
        too old.
        """
        ...

    async def audit_log(
        self, *, after: AuditEntry | None = None, limit: int = PAGE_MAX, subject: str | None = None
    ) -> tuple[AuditEntry, ...]:
        """List at most *limit* acts of operators, newest first; at the same time by id, descending.

        *after* is the last entry of the previous page. *subject* selects those with that subject.
        """
        ...

    async def depth(self) -> Depth:
        """Count the messages under way and the pending timers, in all processes."""
        ...

    async def wait_until_idle(self) -> None:
        """Wait until no message is under way in any process. Pending timers do not count."""
        ...

    async def close(self) -> None:
        """Release all connections. Deliveries that were not acknowledged are delivered again.

        A `send` that still waits raises `Unavailable`. A closed backend may be used again: it then
        connects anew.
        """
        ...


@runtime_checkable
class SupportsPing(Protocol):
    """A backend where an answer to `load` does not prove that it works.

    It is on more than one server, or it can still be read where it cannot be written.
    """

    async def ping(self) -> None:
        """Send each server a small request, or write a little.

        Raises `Unavailable` or `Corrupt` if one of them fails.
        """
        ...


@runtime_checkable
class CountsDeaths(Protocol):
    """A backend that counts the workers that die while they process a delivery.

    A worker dies when its process ends, or its lease expires, before it has settled the delivery.
    Of a first death the backend need not know whether the worker had started the delivery or only
    fetched it: `Delivery.deaths` is 1 in both cases. From then on it counts a death only after
    `mark_started`. So a delivery that no worker has started never gets beyond 1, and a delivery
    that is processed at the first attempt costs no write.

    A worker that stops, and calls `close`, has not died. Without this protocol an event that ends
    each process that handles it does so for ever.
    """

    async def mark_started(self, delivery: Delivery) -> bool:
        """Record durably that the worker starts to process a delivery whose *deaths* is above 0.

        Return False if the delivery belongs to another worker by now: the caller forgets it. `nack`
        removes the mark.
        """
        ...


@runtime_checkable
class FindsRefusals(Protocol):
    """A backend that knows before a turn whether it would refuse the turn's commit.

    A worker asks it before it performs the first effect of a turn: the commit would refuse the turn
    of a duplicate, or of an outdated record, but not before its effects were performed. Without
    this protocol such a turn may perform them.
    """

    async def find_refusal(
        self, delivery: Delivery, expected: int | None
    ) -> Conflict | Duplicate | IdReused | Fenced | None:
        """Return what `commit` would return now for a turn of this delivery, None if it would apply
        it. Nothing changes.

        *expected* is the `expected` of the commit, None for a handler that has no record. A backend
        that does not know who owns a delivery never returns `Fenced`.
        """
        ...

    async def find_consumption(self, message: Message) -> Duplicate | IdReused | None:
        """Return the result of `commit` for one more delivery of a message that a handler has
        consumed, in any process; None if no handler has consumed it. Nothing changes.

        A caller that waits for an answer asks it whether its own event was a duplicate elsewhere.
        """
        ...


@runtime_checkable
class RetainsOutputs(Protocol):
    """A backend that may store no history, but retains the outputs of a workflow's last turns."""

    @property
    def stores_history(self) -> bool:
        """Whether `history` returns entries, and so does more than `produced`."""
        ...

    async def produced(self, subject: str) -> tuple[Event[Any], ...]:
        """Return the events that a workflow's last turns produced, oldest first.

        After the workflow has ended, they include its completion.
        """
        ...

    async def answers(self, subject: str, signal: str) -> tuple[Event[Any], ...]:
        """Return the events by which a workflow has answered the signal with that id, oldest first.

        They are the `Commit.answers` of all turns that were committed, in any process. The backend
        may drop them when some hundred other answers of the workflow have followed.
        """
        ...


def find_outputs(backend: Backend) -> RetainsOutputs | None:
    """Return a backend that has the outputs of the last turns and no history, None for others."""
    if isinstance(backend, RetainsOutputs) and not backend.stores_history:
        return backend
    return None


@runtime_checkable
class AppliesBackpressure(Protocol):
    """A backend that lets a sender wait for room before it sends.

    A request that times out in `wait_for_room` was certainly not accepted. Without this protocol a
    timeout during `send` leaves it unknown whether the backend accepted the event.
    """

    async def wait_for_room(self) -> None:
        """Wait until the queue has room for one more event. It reserves nothing."""
        ...


@runtime_checkable
class HoldsReferences(Protocol):
    """A backend that knows to which blobs of its codec it refers: the others are deleted."""

    async def referenced(self, keys: Sequence[str]) -> frozenset[str]:
        """Return those of the *keys* of blobs to which anything that is stored refers.

        All of it as it is at one moment: a message that moves is seen in one of its places.
        """
        ...

    async def blob_owner(self) -> str:
        """Return the id of this store, which no other one has: the blobs that it refers to are its
        own.
        """
        ...
