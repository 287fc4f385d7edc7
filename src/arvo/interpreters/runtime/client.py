"""Client: sends events to the workflows on a backend, and inspects and operates them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import datetime
from functools import partial
from typing import Any, Final, Unpack, cast

from attrs import evolve

from arvo.core.contracts.versioned import EventOptions
from arvo.core.events.event import Event
from arvo.core.events.uri import is_uri
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.core.violations.arguments import check_argument, check_limit, refusal
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.history.replay import Replay, replay
from arvo.engine.history.typed import typed_entry, typed_event
from arvo.engine.query import query
from arvo.engine.step.admit import admit_emitted
from arvo.engine.workflow_tree import Tree
from arvo.handlers.effect import EffectTable
from arvo.interpreters.ports.audit import AuditEntry
from arvo.interpreters.ports.backend import SupportsPing, find_outputs
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.results import PAGE_MAX, Depth
from arvo.interpreters.reports.channel import find_channel
from arvo.interpreters.reports.report import Report
from arvo.interpreters.runtime.asks import (
    CLIENT_SOURCE,
    TIMEOUT_SECONDS,
    make_signal,
    poll_for_signal_answer,
    require_answer,
    shortest_pause,
)
from arvo.interpreters.runtime.connection import ActOptions
from arvo.interpreters.runtime.description import WorkflowDescription, describe
from arvo.interpreters.runtime.lookup import is_subject
from arvo.interpreters.runtime.operations import (
    find_record,
    history_entries,
    load_record,
    load_tree,
    workflow_not_found,
)
from arvo.interpreters.runtime.workflows import WorkflowClient
from arvo.interpreters.services.doors import refuse_outside
from arvo.interpreters.watching.item import WatchItem, WorkflowEnded
from arvo.interpreters.watching.watch import watch_workflow

# How long a probe waits for the backend before it reports it as unreachable.
PROBE_SECONDS_MAX: Final = 5.0
# How many watchers one client serves at the same time.
WATCHERS_MAX: Final = 1_000
# A subject that no workflow has.
_PROBE_SUBJECT: Final = "arvo.probe"


class SignalOptions(EventOptions, total=False):
    """Those of an event, and who signals and why, for the audit log."""

    actor: str | None
    reason: str


class Client(WorkflowClient):
    """A client for a system on a backend: it sends events and inspects, cancels, migrates, revives
    and replays workflows. It processes nothing; a `Runtime` does.

    *backend*: a URL or a `Backend`. *codec*: decodes the contents of the backend of a URL, as
    that of the runtime does (see `arvo.codecs`). Use it as `async with Client(system, url) as
    client`. A client that only inspects needs no handlers: `Client(System([]), url)`. Its
    operations raise `Unavailable` and `Corrupt` as the backend does.
    """

    # How many callers of it wait for the answer to a signal.
    _asking: int = 0
    # How many callers of it watch a workflow.
    _watching: int = 0

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
        self._asking += 1
        try:
            async with asyncio.timeout(timeout):
                await self.send(event)
                answer = await poll_for_signal_answer(self._backend, event, lambda: self._asking)
        except TimeoutError:
            text = f"signal {event.id!r} was not answered within {timeout:g} s"
            raise TimeoutError(f"{text}; ask again with this id to wait on") from None
        finally:
            self._asking -= 1
        return admit_emitted(self.system, answer)

    async def check(self, event: Event[Any]) -> None:
        """Raise `Violated` if *event* may not enter the system from outside.

        An outsider may begin workflows, address handlers, send signals, and answer an open request
        that left by a domain. The event must fit its contract: that of its handler, or of a remote
        one as far as the system lists it. An event of a version that only another worker serves
        passes. Raises `TooEarly`, a `Violated`, if too many signals wait for workflows that have
        not started.
        """
        await self._refuse(event, partial(self._early.admit, counts=False))

    async def _admit(self, event: Event[Any]) -> None:
        """Check an event that is sent next; an early signal takes one of the places."""
        await self._refuse(event, self._early.admit)

    async def _refuse(
        self, event: Event[Any], admit: Callable[[Event[Any]], Awaitable[None]]
    ) -> None:
        expected = 'an Event: write `contract["1.0.0"].accepts(payload, source="com.shop.web")`'
        check_argument("event", event, Event, expected, of=f"a {type(self).__name__}")
        self._destination(event)
        violation = await refuse_outside(self.system, self._backend, event, admit=admit)
        if violation is not None:
            raise Violated(violation)

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

    def watch(self, workflow: str, *, after: int = -1) -> AsyncGenerator[WatchItem, None]:
        """Watch a workflow until it ends: yield each entry of its history once, in order, as soon
        as it is committed, each `Report` of its effects at most once, and at last a
        `WorkflowEnded`.

        *after*: the position of the last entry that the caller has got; the first one by default
        is the oldest. A caller that stops, or gets `Unavailable`, watches again from there. A
        workflow that is named by its subject, that of the event that begins it, may begin later:
        until its first turn is committed no workflow has the id. Close the iterator of a watch that
        ends early: `async with aclosing(client.watch("order-1")) as items`.

        Raises `Violated` if there is no such workflow, and on a backend that stores no history;
        `Unavailable` beyond WATCHERS_MAX watchers.
        """
        if type(after) is not int or after < -1:
            expected = "the position of a history entry, or -1 for the whole history"
            raise refusal("after", after, expected, "watch")
        return self._watch(workflow, after)

    async def _watch(self, workflow: str, after: int) -> AsyncGenerator[WatchItem, None]:
        subject = await self.find_subject(workflow)
        if not is_subject(subject):
            raise workflow_not_found(workflow)
        if find_outputs(self._backend) is not None:
            issue = Issue("backend", "one that stores histories: give the pair an index", "none")
            raise Violated(ConfigViolation("a watcher reads the history of a workflow", issue))
        if self._watching >= WATCHERS_MAX:
            raise Unavailable(f"{WATCHERS_MAX} callers watch workflows here: try again later")
        self._watching += 1
        try:
            items = watch_workflow(
                self._backend, subject, after, lambda: shortest_pause(self._watching)
            )
            async with aclosing(items):
                async for item in items:
                    yield self._typed_item(item)
        finally:
            self._watching -= 1

    def _typed_item(self, item: WatchItem) -> WatchItem:
        match item:
            case HistoryEntry():
                return typed_entry(self.system, item)
            case WorkflowEnded(completion=Event() as completion):
                return evolve(item, completion=typed_event(self.system, completion))
            case Report() | WorkflowEnded():
                return item

    @property
    def carries_reports(self) -> bool:
        """Whether `watch` yields reports here; otherwise the backend carries none."""
        return find_channel(self._backend) is not None

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
        check_limit(limit, of="audit_log")
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
