"""Client: sends events to the workflows on a backend, and inspects and operates them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, Unpack, cast

from arvo.core.contracts.versioned import EventOptions
from arvo.core.events.event import Event
from arvo.core.events.identity import is_workflow_id
from arvo.core.events.uri import is_uri
from arvo.core.history import HistoryEntry
from arvo.core.labels import read_labels
from arvo.core.payloads.frozen_json import EMPTY
from arvo.core.record import Record
from arvo.core.violations.issue import Issues
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.history.replay import Replay, replay
from arvo.engine.history.typed import typed_entry
from arvo.engine.query import query
from arvo.engine.step.admit import admit_emitted
from arvo.engine.workflow_tree import Tree
from arvo.handlers.effect import EffectTable
from arvo.interpreters.ports.audit import AuditEntry
from arvo.interpreters.ports.backend import SupportsPing
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.ports.results import PAGE_MAX, Depth, StoredWorkflow, WorkflowFilters
from arvo.interpreters.runtime.asks import (
    CLIENT_SOURCE,
    TIMEOUT_SECONDS,
    make_signal,
    poll_for_signal_answer,
    require_answer,
)
from arvo.interpreters.runtime.connection import ActOptions
from arvo.interpreters.runtime.dead_letters import DeadLetterClient
from arvo.interpreters.runtime.description import WorkflowDescription, describe
from arvo.interpreters.runtime.lookup import find_subject, is_subject
from arvo.interpreters.runtime.operations import (
    find_record,
    history_entries,
    load_record,
    load_tree,
    make_cancellation,
    migrate_workflow,
    revive_workflow,
    workflow_not_found,
)
from arvo.interpreters.services.doors import refuse_outside

# How long a probe waits for the backend before it reports it as unreachable.
PROBE_SECONDS_MAX: Final = 5.0
# A subject that no workflow has.
_PROBE_SUBJECT: Final = "arvo.probe"


class SignalOptions(EventOptions, total=False):
    """Those of an event, and who signals and why, for the audit log."""

    actor: str | None
    reason: str


class Client(DeadLetterClient):
    """A client for a system on a backend: it sends events and inspects, cancels, migrates, revives
    and replays workflows. It processes nothing; a `Runtime` does.

    *backend*: a URL or a `Backend`. Use it as `async with Client(system, url) as client`. A client
    that only inspects needs no handlers: `Client(System([]), url)`. Its operations raise
    `Unavailable` and `Corrupt` as the backend does.
    """

    async def send(self, event: Event[Any]) -> None:
        """Send an event into the system. When this returns, the backend has accepted it.

        Waits while the queue is full. Raises `Violated` as `check` does, and `TooLarge` for an
        event above 1 MiB, or one that the broker does not accept.
        """
        await self._admit(event)
        await self._send(event)

    async def signal(
        self,
        workflow: str,
        payload: object,
        *,
        type: str | None = None,  # noqa: A002 - the wire's name
        source: str = CLIENT_SOURCE,
        **options: Unpack[SignalOptions],
    ) -> Event[Any]:
        """Signal a workflow, and return the event that was sent.

        *workflow*: its workflow id or its subject. *payload*: of the class of one of its signals,
        or a mapping together with *type*. A signal that is sent again with the same *id* counts
        once; without one each call is another signal. With an *actor*, and a *reason*, it is the
        act of an operator, which the audit log shows. Raises `Violated` for a payload that is no
        signal of the workflow, and as `send` does.
        """
        actor, reason = options.pop("actor", None), options.pop("reason", "")
        event = await self._make_signal(
            workflow, payload, type, source, cast("EventOptions", options)
        )
        if actor is not None:
            act: ActOptions = {"actor": actor, "reason": reason}
            await self._record_act("signal", event.subject, act, target=event.id, detail=event.type)
        await self.send(event)
        return event

    async def ask(
        self,
        workflow: str,
        payload: object,
        *,
        type: str | None = None,  # noqa: A002 - the wire's name
        source: str = CLIENT_SOURCE,
        timeout: float = TIMEOUT_SECONDS,
        **options: Unpack[EventOptions],
    ) -> Event[Any]:
        """Signal a workflow, wait for its answer, and return that.

        The contract of the signal has events that it emits; the workflow emits one of them. The
        arguments are those of `signal`. To ask again with the same *id* is safe: the workflow
        handles it once, and the answer is the same. Raises `NoReply` if the workflow ends without
        an answer, and `TimeoutError` after *timeout* seconds: the signal stays sent.
        """
        event = await self._make_signal(workflow, payload, type, source, options)
        require_answer(self.system, event)
        return await self._ask(event, timeout)

    async def _make_signal(
        self,
        workflow: str,
        payload: object,
        type_: str | None,
        source: str,
        options: EventOptions,
    ) -> Event[Any]:
        subject = await self.find_subject(workflow)
        if not is_subject(subject):
            raise workflow_not_found(workflow)
        record = await find_record(self._backend, subject)
        return make_signal(
            self.system,
            subject,
            record,
            payload,
            type=type_,
            options={"source": source, **options},
        )

    async def _ask(self, event: Event[Any], timeout: float) -> Event[Any]:
        try:
            async with asyncio.timeout(timeout):
                await self.send(event)
                answer = await poll_for_signal_answer(self._backend, event)
        except TimeoutError:
            text = f"signal {event.id!r} was not answered within {timeout:g} s"
            raise TimeoutError(f"{text}; ask again with this id to wait on") from None
        return admit_emitted(self.system, answer)

    async def check(self, event: Event[Any]) -> None:
        """Raise `Violated` if *event* may not enter the system from outside.

        An outsider may begin workflows, address handlers, send signals, and answer an open request
        that left by a domain. The event must fit its contract. An event of a version that only
        another worker serves passes. Raises `TooEarly`, a `Violated`, if too many signals wait for
        workflows that have not started.
        """
        await self._refuse(event, partial(self._early.admit, counts=False))

    async def _admit(self, event: Event[Any]) -> None:
        """Check an event that is sent next; an early signal takes one of the places."""
        await self._refuse(event, self._early.admit)

    async def _refuse(
        self, event: Event[Any], admit: Callable[[Event[Any]], Awaitable[None]]
    ) -> None:
        self._destination(event)
        violation = await refuse_outside(self.system, self._backend, event, admit=admit)
        if violation is not None:
            raise Violated(violation)

    async def _send(self, event: Event[Any]) -> None:
        """Send an event without asking whether its sender is inside."""
        message = Message(event, self._destination(event))
        if self._observer is None:
            await self._send_message(message)
        else:
            with self._observer.sending(message) as observed:
                await self._send_message(observed)

    async def _send_message(self, message: Message) -> None:
        await self._backend.send(message)

    async def workflows(
        self,
        *,
        type: str | None = None,  # noqa: A002 - the name of the event attribute
        after: StoredWorkflow | None = None,
        limit: int = PAGE_MAX,
        **filters: Unpack[WorkflowFilters],
    ) -> tuple[StoredWorkflow, ...]:
        """List at most *limit* workflows, the most recently changed first.

        *status*, *type* (`arvo.orc.order.fulfil`), *workflow_id*: only those. *labels*: only those
        that have all of these labels. *text*: only those with this text in their workflow id, or in
        one of their labels as `name=value`. *unchanged_since*:
        only those that have not changed since; this finds workflows that make no progress. *after*:
        the last workflow of the previous page.
        """
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

    async def describe(self, workflow: str) -> WorkflowDescription:
        """Describe the state of a workflow: what it waits for, since when, and why it failed.

        *workflow*: its workflow id, or its subject. Raises `Violated` if there is none.
        """
        subject = await self.find_subject(workflow)
        stored = await self._backend.workflow(subject) if is_uri(subject) else None
        if stored is None:
            raise workflow_not_found(workflow)
        history = await self._backend.history(subject)
        return describe(stored, history, await self.dead_letters(subject=subject))

    async def history(self, workflow: str) -> tuple[HistoryEntry, ...]:
        """Return every event that a workflow has consumed and produced, oldest first.

        Their data are payload classes where this system has the contract of the sender or of the
        receiver, and frozen mappings elsewhere: the same on every backend. Those of earlier runs
        with the same subject come first.
        """
        subject = await self.find_subject(workflow)
        entries = [entry async for entry in history_entries(self._backend, subject)]
        return tuple(typed_entry(self.system, entry) for entry in reversed(entries))

    async def record(self, workflow: str) -> Record | None:
        """Return the stored record of a workflow, or None."""
        return await find_record(self._backend, await self.find_subject(workflow))

    async def query(self, workflow: str) -> Any:
        """Return the state of a workflow, in the form that its handler defines (see `arvo.query`).

        Raises `Violated` if there is no such workflow, or if its state does not fit the handler.
        """
        subject = await self.find_subject(workflow)
        return query(self.system, await load_record(self._backend, subject))

    async def tree(self, workflow: str) -> Tree:
        """Return the whole tree of workflows that a workflow belongs to (see `arvo.tree`)."""
        return await load_tree(self._backend, await self.find_subject(workflow))

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

        The event on which it failed is delivered once more, and its timers are set again; a timer
        that was due in the meantime is delivered at once. Events that arrived after the failure are
        dead letters; redrive them. The initiator was sent the failure and may receive a completion
        now. If the failure sent compensations, their effect stays, and the state does not show it:
        that raises `Violated` unless *after_compensation* allows it. *actor*, *reason*: who does
        this, and why, for the audit log.

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

    async def audit_log(
        self,
        *,
        after: AuditEntry | None = None,
        limit: int = PAGE_MAX,
        workflow: str | None = None,
    ) -> tuple[AuditEntry, ...]:
        """List at most *limit* acts of operators, newest first: who did what, when and why.

        A client records each `cancel`, `migrate` and `revive`, each redrive and deletion of a dead
        letter, and each signal with an *actor*, before it is carried out; an act that was refused
        then is listed too. *after*: the last entry of the previous page. *workflow*: only those on
        this workflow, by its workflow id or subject.
        """
        subject = None if workflow is None else await self.find_subject(workflow)
        if subject is not None and not is_uri(subject):
            return ()
        return await self._backend.audit_log(after=after, limit=limit, subject=subject)

    async def replay(
        self,
        workflow: str,
        *,
        until: int | datetime | None = None,
        effects: EffectTable | None = None,
    ) -> Replay:
        """Replay a workflow's turns with this system, without side effects (see `arvo.replay`)."""
        subject = await self.find_subject(workflow)
        record = await load_record(self._backend, subject)
        history = await self.history(subject)
        return replay(self.system, history, until=until, record=record, effects=effects)

    async def is_reachable(self) -> bool:
        """Return whether the backend answers a small request within `PROBE_SECONDS_MAX`.

        On SQLite the request is a write, so it fails on a full disk.
        """
        try:
            async with asyncio.timeout(PROBE_SECONDS_MAX):
                if isinstance(self._backend, SupportsPing):
                    await self._backend.ping()
                else:
                    await self._backend.load(_PROBE_SUBJECT)
        except (Unavailable, Corrupt, TimeoutError):
            return False
        return True

    async def depth(self) -> Depth:
        """Return how many messages are under way, in all processes."""
        return await self._backend.depth()
