"""Workflows: the part of a client that lists, cancels, migrates, revives and forks workflows."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Unpack

from arvo.core.events.dataschema import is_version
from arvo.core.events.identity import check_begin, is_workflow_id
from arvo.core.events.uri import is_uri
from arvo.core.labels import read_labels
from arvo.core.payloads.frozen_json import EMPTY
from arvo.core.record import STATUSES, Record, Status
from arvo.core.violations.arguments import check_limit, check_time
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.history.fork import ForkOptions
from arvo.engine.history.migrate import migrate_plain
from arvo.interpreters.delivery.clock import fresh_stamp, utc_now
from arvo.interpreters.ports.audit import Verb
from arvo.interpreters.ports.results import (
    PAGE_MAX,
    DueTimer,
    StoredWorkflow,
    VersionUse,
    WorkflowFilters,
)
from arvo.interpreters.runtime.batches import (
    BATCH_MAX,
    BatchOptions,
    BatchResult,
    check_options,
    run_batch,
)
from arvo.interpreters.runtime.connection import ActOptions, check_act
from arvo.interpreters.runtime.dead_letters import DeadLetterClient
from arvo.interpreters.runtime.lookup import find_subject
from arvo.interpreters.runtime.operations import (
    OPERATOR,
    decide_revival,
    find_record,
    make_cancellation,
    make_fork,
    migrate_workflow,
    revive_workflow,
)


class WorkflowClient(DeadLetterClient):
    """Lists, cancels, migrates and revives workflows, one or many, and forks one."""

    async def workflows(
        self,
        *,
        type: str | None = None,  # noqa: A002 - the name of the event attribute
        after: StoredWorkflow | None = None,
        limit: int = PAGE_MAX,
        **filters: Unpack[WorkflowFilters],
    ) -> tuple[StoredWorkflow, ...]:
        """List at most *limit* workflows, the most recently changed first.

        *status*, *type* (`arvo.orc.order.fulfil`), *version* (`1.0.0`), *workflow_id*: only those.
        *labels*: only those that have all of these labels. *text*: only those with this text in
        their workflow id, or in one of their labels as `name=value`. *unchanged_since*: only those
        that have not changed since; this finds workflows that make no progress. *after*: the last
        workflow of the previous page. Raises `Violated` for a limit, status, version or time that
        cannot be one.
        """
        check_limit(limit, of="workflows")
        check_time("unchanged_since", filters.get("unchanged_since"), of="workflows")
        _check_status(filters.get("status"))
        _check_version(filters.get("version"))
        workflow_id, labels = filters.get("workflow_id"), filters.get("labels", EMPTY)
        is_known = workflow_id is None or is_workflow_id(workflow_id)
        if not is_known or (type is not None and not is_uri(type)):
            return ()
        if isinstance(checked := read_labels(labels), Issues):
            raise Violated(ConfigViolation("no workflow has such labels", checked))
        if len(checked) < len(labels) or not (filters.get("text") or "").isprintable():
            return ()  # None is no label, and ids and labels are printable
        filters["labels"] = checked
        return await self._backend.workflows(handler=type, after=after, limit=limit, **filters)

    async def find_subject(self, workflow: str) -> str:
        """Return the subject of a workflow, by its workflow id: that of its current run.

        The other methods take the id in place of the subject too. `arvo.orc.order/order-1` names a
        run of one type. Returns *workflow* itself where no workflow has that id. Raises `Violated`
        if it fits runs of several types, or several active runs.
        """
        return await find_subject(self._backend, workflow)

    async def timers(
        self,
        *,
        type: str | None = None,  # noqa: A002 - the name of the event attribute
        after: DueTimer | None = None,
        limit: int = PAGE_MAX,
    ) -> tuple[DueTimer, ...]:
        """List at most *limit* timers that have not fired, the next one first, so late ones before.

        *type*: only those of workflows of this type, such as `arvo.orc.order.fulfil`. *after*: the
        last timer of the previous page. Raises `Violated` on a backend that cannot list them.
        """
        check_limit(limit, of="timers")
        if type is not None and not is_uri(type):
            return ()
        return await self._backend.timers(handler=type, after=after, limit=limit)

    async def versions(self) -> tuple[VersionUse, ...]:
        """Count the active and the failed workflows by handler and version of its contract.

        No deployment may leave out a version that an active workflow runs, and a failed one needs
        it when it is revived. Raises `Violated` on a backend that cannot list workflows.
        """
        return await self._backend.versions()

    async def cancel(
        self, workflow: str, reason: str, *, by: str | None = None, actor: str | None = None
    ) -> None:
        """Cancel a workflow. It takes a last turn, which sends its compensations, cancels its
        children, and sends its initiator a system error with the name `Cancelled`.

        *by*: the subject of the workflow that began it, in another system, if that one asks for
        the cancellation. It waits no more, and gets no system error. *actor*: who cancels it, for
        the audit log.

        Raises `Violated` if *workflow* names no workflow of this system. A workflow that has ended
        is not changed.
        """
        subject = await self.find_subject(workflow)
        with self._operating("cancel", subject):
            event = make_cancellation(self.system, subject, reason, by)
            if by is None:  # otherwise a workflow acts, and no operator
                act: ActOptions = {"actor": actor, "reason": reason}
                await self._record_act("cancel", subject, act, target=event.id)
            await self._send(event)

    async def migrate(
        self,
        workflow: str,
        *,
        to: str,
        state: Callable[[Any], Any] | None = None,
        **act: Unpack[ActOptions],
    ) -> Record:
        """Move an active workflow to another version, and return its record (see `arvo.migrate`).

        It acts between two turns: a turn that is in progress meanwhile is taken again, on the new
        record. *actor*, *reason*: who does this, and why, for the audit log. Raises `Violated` if
        the workflow cannot be moved.
        """
        subject = await self.find_subject(workflow)
        with self._operating("migrate", subject) as operation:
            await self._record_act("migrate", subject, act, detail=f"to {to}")
            return await migrate_workflow(
                self.system, self._backend, subject, to=to, state=state, operation=operation
            )

    async def revive(
        self, workflow: str, *, after_compensation: bool = False, **act: Unpack[ActOptions]
    ) -> Record:
        """Let a failed workflow continue from its last good record, and return that.

        The event on which it failed is delivered once more, then the replies that arrived after
        the failure, and its timers are set again; a timer that was due in the meantime is delivered
        at once. Signals that arrived after the failure are dead letters; redrive them. The
        initiator was sent the failure and may receive a completion now. If the failure sent
        compensations, their effect stays, and the state does not show it: that raises `Violated`
        unless *after_compensation* allows it. *actor*, *reason*: who does this, and why, for the
        audit log.

        Raises `Violated` if the workflow has not failed, or if its history has lost the event.
        """
        subject = await self.find_subject(workflow)
        with self._operating("revive", subject) as operation:
            await self._record_act("revive", subject, act)
            return await revive_workflow(
                self.system,
                self._backend,
                subject,
                after_compensation=after_compensation,
                operation=operation,
            )

    async def fork(
        self,
        workflow: str,
        *,
        at: int,
        new_id: str | None = None,
        version: str | None = None,
        after_compensation: bool = False,
        **act: Unpack[ActOptions],
    ) -> str:
        """Begin a new workflow that continues from revision *at* of another one; return its
        subject. The first workflow, active, failed or ended, does not change.

        A replay of the history derives the record of that revision. The new workflow has its state,
        labels and version, or *version*, to which it is migrated then. The requests that were open
        are sent again, with new ids, so that their replies come to the new workflow; open children
        begin anew, as its own. Timers keep their times; one that was due meanwhile fires at once.
        Replies and signals that came after that revision are not repeated. It has no parent and
        answers no caller.

        *new_id*: its workflow id, by default a generated one; a fork with the same id, workflow
        and revision begins once. It undoes effects before the revision only if the first
        workflow is done; otherwise that one does so, or has. In the latter case the state does not
        show it: that raises `Violated` unless *after_compensation* allows it. *actor*, *reason*:
        who does this, and why, for the audit log.

        When this returns, the begin is accepted, and a worker takes it. Raises `Violated` if the
        workflow was not active at that revision, if its history no longer holds it, if the replay
        disagrees with what happened, or if another run has *new_id*.
        """
        if new_id is not None:
            check_begin(new_id, "reject")
        options = ForkOptions(
            at=at,
            workflow_id=fresh_stamp().id if new_id is None else new_id,
            source=OPERATOR,
            now=utc_now(),
            is_chosen=new_id is not None,
            version=version,
            after_compensation=after_compensation,
        )
        subject = await self.find_subject(workflow)
        with self._operating("fork", subject) as operation:
            detail = f"at {at}" if new_id is None else f"at {at} as {new_id}"
            await self._record_act("fork", subject, act, detail=detail)
            event = await make_fork(self.system, self._backend, subject, options, operation)
            await self._send(event)
            return event.subject

    async def cancel_workflows(self, reason: str, **options: Unpack[BatchOptions]) -> BatchResult:
        """Cancel the active workflows that *options* select when it begins; see `BatchOptions`.

        Up to CONCURRENT_ACTS_MAX at a time. If this raises, or is cancelled, call it again: it goes
        on with those that are left. A workflow of another system is refused.
        """

        async def act(subject: str) -> bool:
            if not await self._has_status(subject, "active"):
                return False
            if options.get("dry_run"):
                make_cancellation(self.system, subject, reason)
            else:
                await self.cancel(subject, reason, actor=options.get("actor"))
            return True

        return await self._act_on_workflows("cancel", act, "active", reason, options)

    async def migrate_workflows(
        self,
        *,
        to: str,
        state: Callable[[Any], Any] | None = None,
        reason: str = "",
        **options: Unpack[BatchOptions],
    ) -> BatchResult:
        """Migrate the active workflows that *options* select, as `migrate` does.

        See `cancel_workflows`. Those that are on the version already count as gone.
        """

        async def act(subject: str) -> bool:
            record = await find_record(self._backend, subject)
            if record is None or record.status != "active":
                return False
            moved = migrate_plain(self.system, record, to=to, state=state)
            if not isinstance(moved, Record):
                raise Violated(moved)
            if moved is not record and not options.get("dry_run"):
                who: ActOptions = {"actor": options.get("actor"), "reason": reason}
                await self.migrate(subject, to=to, state=state, **who)
            return moved is not record

        return await self._act_on_workflows("migrate", act, "active", reason, options)

    async def revive_workflows(
        self,
        *,
        after_compensation: bool = False,
        reason: str = "",
        **options: Unpack[BatchOptions],
    ) -> BatchResult:
        """Revive the failed workflows that *options* select, as `revive` does.

        See `cancel_workflows`. Those that fail again meanwhile are left.
        """

        async def act(subject: str) -> bool:
            if not await self._has_status(subject, "failed"):
                return False
            if options.get("dry_run"):
                await decide_revival(
                    self.system, self._backend, subject, after_compensation=after_compensation
                )
                return True
            who: ActOptions = {"actor": options.get("actor"), "reason": reason}
            await self.revive(subject, after_compensation=after_compensation, **who)
            return True

        return await self._act_on_workflows("revive", act, "failed", reason, options)

    async def _has_status(self, subject: str, status: Status) -> bool:
        record = await find_record(self._backend, subject)
        return record is not None and record.status == status

    async def _act_on_workflows(
        self,
        verb: Verb,
        act: Callable[[str], Awaitable[bool]],
        status: Status,
        reason: str,
        options: BatchOptions,
    ) -> BatchResult:
        check_options(verb, status, options)
        check_act({"actor": options.get("actor"), "reason": reason}, verb)
        limit = options.get("limit", BATCH_MAX)
        filters: WorkflowFilters = {
            "status": status,
            "version": options.get("version"),
            "workflow_id": options.get("workflow_id"),
            "unchanged_since": options.get("unchanged_since"),
            "labels": options.get("labels", EMPTY),
            "text": options.get("text"),
        }
        chosen, check = options.get("subjects"), options.get("check")
        if chosen is None:
            subjects = await self._subjects(options.get("type"), filters, limit)
        else:
            subjects = dict.fromkeys(chosen)
        selected = [(subject, subject) for subject in subjects]

        async def checked(subject: str) -> bool:
            record = None if check is None else await find_record(self._backend, subject)
            if check is not None and record is not None:
                await check(record)
            return await act(subject)

        return await run_batch(
            selected[:limit],
            checked,
            more=len(selected) > limit,
            on_progress=options.get("on_progress"),
        )

    async def _subjects(
        self, type_: str | None, filters: WorkflowFilters, limit: int
    ) -> dict[str, None]:
        """List the workflows that are there now, and perhaps more than *limit* of them.

        All of them before the first act: what is acted on moves to the front of the list. So does
        what takes a turn meanwhile, perhaps from a page that is not read yet: what has changed
        since the first page is listed again, until that shows no other one.
        """
        subjects: dict[str, None] = {}
        opened: datetime | None = None
        reached: datetime | None = None
        while True:
            known, newest, last = len(subjects), None, None
            while page := await self.workflows(type=type_, after=last, **filters):
                newest, last = newest or page[0].changed, page[-1]
                opened = opened or newest
                # What begins later is not selected: the list would perhaps never end.
                older = (it for it in page if reached is None or it.began <= opened)
                subjects |= dict.fromkeys(stored.record.subject for stored in older)
                if len(subjects) > limit:
                    return subjects
                if reached is not None and last.changed < reached:
                    break
            if len(subjects) == known:
                return subjects
            reached = newest


def _check_status(status: object) -> None:
    if status is not None and status not in STATUSES:
        issue = Issue("status", f"one of {', '.join(STATUSES)}", short_repr(status))
        raise Violated(ConfigViolation("no workflow has such a status", issue))


def _check_version(version: object) -> None:
    if version is not None and not (isinstance(version, str) and is_version(version)):
        issue = Issue("version", "major.minor.patch, such as '1.0.0'", short_repr(version))
        raise Violated(ConfigViolation("no workflow has such a version", issue))
