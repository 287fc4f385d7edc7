"""Environment: one run of a workflow, with any order of events that its contracts permit."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, final

import orjson
from attrs import define, field

from arvo.core.commit import Commit, PendingTimer
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.violation import Violation
from arvo.engine.step.decide import decide_plain
from arvo.engine.system.handler import WorkflowHandler, is_workflow
from arvo.engine.system.system import System
from arvo.handlers.flow.handler import FlowHandler
from arvo.testing.laws.scenario import Scenario
from arvo.testing.laws.trace import PendingEvent, TraceEntry, format_entry
from arvo.testing.strategies.replies import Behaviour, make_reply
from arvo.testing.strategies.strategies import CLIENT, TIME

# Far more than a shrunk trace has. A workflow that does not end reaches it soon.
STEPS_MAX: Final = 60

NOW: Final = datetime.fromisoformat(TIME)


@final
@define
class Environment:
    """A system of workflows in one scenario; services reply as their behaviours define.

    *pending* holds the events that may come next, the oldest first. *outbound* holds the events
    that left the system, such as the completion. *requests* holds the requests that workflows sent,
    and *attempts* counts equal ones.
    """

    system: System
    scenario: Scenario
    now: datetime = NOW
    records: dict[str, Record] = field(factory=dict)
    pending: list[PendingEvent] = field(factory=list)
    timers: list[PendingTimer] = field(factory=list)
    signals: list[PendingEvent] = field(factory=list)
    trace: list[TraceEntry] = field(factory=list)
    outbound: list[Event[Any]] = field(factory=list)
    requests: list[Event[Any]] = field(factory=list)
    attempts: dict[bytes, int] = field(factory=dict)

    @classmethod
    def start(cls, system: System, scenario: Scenario) -> "Environment":
        """Return an environment in which the event of *scenario* is pending."""
        clear_flow_caches(system)
        environment = cls(system, scenario)
        environment.pending = [PendingEvent("event", scenario.event)]
        environment.signals = list(environment._make_signals())
        return environment

    @property
    def root(self) -> Record | None:
        """The record of the workflow that the scenario starts."""
        return self.records.get(self.scenario.event.subject)

    def options(self) -> list[PendingEvent]:
        """Return the events that may come next: pending events, then a signal, then a timer."""
        options = list(self.pending)
        if self.root is not None and self.root.status == "active":
            options += self.signals[:1]
        current = [timer for timer in self.timers if self._is_current(timer)]
        if current:
            first = min(current, key=lambda timer: timer.due)
            options.append(PendingEvent("timer", first.event))
        return options

    def deliver_all(self, moves: tuple[int, ...] = (), *, steps: int = STEPS_MAX) -> None:
        """Deliver events, chosen by *moves*, until none may come or *steps* are taken."""
        remaining = iter(moves)
        while len(self.trace) < steps and (options := self.options()):
            # A step with a single option uses no move.
            chosen = next(remaining, 0) % len(options) if options[1:] else 0
            self.deliver(options[chosen])

    def deliver_internal_events(self) -> None:
        """Deliver the events that workflows sent each other; no replies come, no timers fire."""
        while (own := [pending for pending in self.pending if pending.source == "event"]) and (
            len(self.trace) < STEPS_MAX
        ):
            self.deliver(own[0])

    def deliver(self, pending: PendingEvent) -> TraceEntry:
        """Deliver one event and apply its commit."""
        if pending in self.pending:
            self.pending.remove(pending)
        if pending in self.signals:
            self.signals.remove(pending)
        if pending.source == "timer":
            # The event of a timer rounds its time to milliseconds.
            at = datetime.fromisoformat(pending.event.raw["at"])
            self.now = max(self.now, at)
            self.timers = [timer for timer in self.timers if timer.event.id != pending.event.id]
        before = self.records.get(pending.event.subject)
        result = self.step(pending.event, before, self.now)
        entry = TraceEntry(pending, before, self.now, result)
        self.trace.append(entry)
        if isinstance(result, Commit):
            self._apply(result)
        return entry

    def step(self, event: Event[Any], before: Record | None, now: datetime) -> Commit | Violation:
        """Return the result of a step without applying it."""
        return decide_plain(self.system, event, before, now=now, effects=self.scenario.effects)

    def format_trace(self, *more: str, steps: int = STEPS_MAX) -> tuple[str, ...]:
        """Return one line for each step, followed by the lines *more*."""
        return (*map(format_entry, self.trace[:steps]), *more)

    def _apply(self, commit: Commit) -> None:
        if commit.record is not None:
            self.records[commit.record.subject] = commit.record
        cleared = commit.cleared_timers
        self.timers = [timer for timer in self.timers if timer.event.id not in cleared]
        self.timers += commit.timers
        for event in commit.events:
            self._send(event)

    def _send(self, event: Event[Any]) -> None:
        behaviour = self.scenario.behaviours.get(event.dataschema or "")
        handler = self.system.handler_at(event.to)
        if behaviour is not None and event.type == behaviour.contract.type:
            self.requests.append(event)
            self.pending.append(PendingEvent("reply", self._make_reply(behaviour, event)))
        elif is_workflow(handler):
            if event.type == handler.source:
                self.requests.append(event)
            self.pending.append(PendingEvent("event", event))
        else:
            self.outbound.append(event)

    def _make_reply(self, behaviour: Behaviour, request: Event[Any]) -> Event[Any]:
        # Chosen by the request's data and the number of equal requests, not by its id. So a request
        # has the same reply in every order of events, and a retry may have another one.
        key = orjson.dumps([request.type, request.subject, request.raw], default=dict)
        attempt = self.attempts[key] = self.attempts.get(key, -1) + 1
        first = blake2b(key, digest_size=4).digest()[0]
        answers = behaviour.answers
        return make_reply(request, behaviour.contract, answers[(first + attempt) % len(answers)])

    def _is_current(self, timer: PendingTimer) -> bool:
        record = self.records.get(timer.event.subject)
        if record is None or record.status != "active":
            return False
        return any(current.id == timer.event.id for current in record.timers.values())

    def _make_signals(self) -> Iterator[PendingEvent]:
        event = self.scenario.event
        for number, (contract, payload) in enumerate(self.scenario.signals):
            key = f"signal-{number}"
            signal = contract.accepts(
                payload, source=CLIENT, id=key, subject=event.subject, to=event.to, time=TIME
            )
            yield PendingEvent("signal", signal)


def clear_flow_caches(system: System) -> None:
    """Clear the caches of all flows, because a cached flow hides a replay that differs."""
    for handler in system.handlers:
        if isinstance(handler, FlowHandler):
            handler.cache.clear()


def workflow_handlers(system: System) -> tuple[WorkflowHandler, ...]:
    """Return the workflow handlers of *system*."""
    return tuple(filter(is_workflow, system.handlers))


def service_contracts(system: System) -> Mapping[str, VersionedContract[Any]]:
    """Return the contracts of services that workflows of *system* call, by dataschema.

    Workflows of *system* itself are not included.
    """
    sources = {handler.source for handler in workflow_handlers(system)}
    services = (
        service
        for handler in workflow_handlers(system)
        for version in handler.versions
        for service in handler.services_of(version)
    )
    return {service.dataschema: service for service in services if service.type not in sources}
