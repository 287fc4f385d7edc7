"""World: one run of a workflow, in which everything that its contracts permit may happen."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, Literal, TypeAlias, final

import orjson
from attrs import define, field, frozen

from arvo.core.commit import Commit, PendingTimer
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.violation import Violation
from arvo.engine.step.decide import settle
from arvo.engine.system.system import System, WorkflowHandler
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.testing.given.code import code
from arvo.testing.given.commands_of import Effects
from arvo.testing.strategies.replies import Behaviour, reply_to
from arvo.testing.strategies.strategies import CLIENT, TIME

# Far more than a shrunk story has, and soon reached by a workflow that never rests.
STEPS_MAX: Final = 60

NOW: Final = datetime.fromisoformat(TIME)

Source: TypeAlias = Literal["event", "reply", "signal", "timer", "cancellation"]


@final
@frozen
class Scenario:
    """What happens around a workflow, as data, so that it can be shrunk and played again.

    *event* begins it. *behaviours* say by dataschema how each service answers. *effects* answer its
    calls. *signals* may come to it. *moves* say which of all that may come next does, by position;
    after them, what came first, and timers last.
    """

    event: Event[Any]
    behaviours: Mapping[str, Behaviour]
    effects: Effects
    signals: tuple[tuple[VersionedContract[Any], Any], ...] = ()
    moves: tuple[int, ...] = ()


@final
@frozen
class Coming:
    """An event that may come next, and where from."""

    source: Source
    event: Event[Any]


@final
@frozen
class Happened:
    """One step: what came, the record that it met, at what time, and what that came to."""

    coming: Coming
    before: Record | None
    now: datetime
    settled: Commit | Violation


@final
@define
class World:
    """A system of workflows under way; its services are drawn, and answer at once.

    *pending* is what may come next, in the order in which it was made; *heard* is what went to
    whoever began the workflow.
    """

    system: System
    scenario: Scenario
    now: datetime = NOW
    records: dict[str, Record] = field(factory=dict)
    pending: list[Coming] = field(factory=list)
    alarms: list[PendingTimer] = field(factory=list)
    signals: list[Coming] = field(factory=list)
    story: list[Happened] = field(factory=list)
    heard: list[Event[Any]] = field(factory=list)
    requests: list[Event[Any]] = field(factory=list)
    attempts: dict[bytes, int] = field(factory=dict)

    @classmethod
    def begin(cls, system: System, scenario: Scenario) -> "World":
        """Begin with the event of a scenario still to come."""
        forget(system)
        world = cls(system, scenario)
        world.pending = [Coming("event", scenario.event)]
        world.signals = list(world._signals())
        return world

    @property
    def root(self) -> Record | None:
        """What is remembered of the workflow itself."""
        return self.records.get(self.scenario.event.subject)

    def options(self) -> list[Coming]:
        """List what may come next: first what was made first, then signals, then a timer."""
        options = list(self.pending)
        if self.root is not None and self.root.status == "active":
            options += self.signals[:1]
        due = [each for each in self.alarms if self._stands(each)]
        if due:
            first = min(due, key=lambda each: each.due)
            options.append(Coming("timer", first.event))
        return options

    def play(self, moves: tuple[int, ...] = (), *, steps: int = STEPS_MAX) -> None:
        """Let things come, as *moves* choose, until the world rests or *steps* are taken."""
        chosen = iter(moves)
        while len(self.story) < steps and (options := self.options()):
            # Where there is no choice, none is used up.
            self.take(options[next(chosen, 0) % len(options) if options[1:] else 0])

    def calm(self) -> None:
        """Deliver what workflows sent each other; services are silent, and time stands still."""
        while (own := [each for each in self.pending if each.source == "event"]) and (
            len(self.story) < STEPS_MAX
        ):
            self.take(own[0])

    def take(self, coming: Coming) -> Happened:
        """Let one event come."""
        if coming in self.pending:
            self.pending.remove(coming)
        if coming in self.signals:
            self.signals.remove(coming)
        if coming.source == "timer":
            # What a timer's event says of its time is rounded to milliseconds.
            at = datetime.fromisoformat(coming.event.raw["at"])
            self.now = max(self.now, at)
            self.alarms = [each for each in self.alarms if each.event.id != coming.event.id]
        before = self.records.get(coming.event.subject)
        settled = self.settle(coming.event, before, self.now)
        happened = Happened(coming, before, self.now, settled)
        self.story.append(happened)
        if isinstance(settled, Commit):
            self._apply(settled)
        return happened

    def settle(self, event: Event[Any], before: Record | None, now: datetime) -> Commit | Violation:
        """Take a step, and change nothing."""
        return settle(self.system, event, before, now=now, effects=self.scenario.effects)

    def told(self, *more: str, steps: int = STEPS_MAX) -> tuple[str, ...]:
        """Tell what happened, step by step."""
        return (*map(_line, self.story[:steps]), *more)

    def _apply(self, commit: Commit) -> None:
        if commit.record is not None:
            self.records[commit.record.subject] = commit.record
        self.alarms = [each for each in self.alarms if each.event.id not in commit.cleared_timers]
        self.alarms += commit.timers
        for event in commit.events:
            self._send(event)

    def _send(self, event: Event[Any]) -> None:
        behaviour = self.scenario.behaviours.get(event.dataschema or "")
        handler = self.system.handler_at(event.to)
        if behaviour is not None and event.type == behaviour.contract.type:
            self.requests.append(event)
            self.pending.append(Coming("reply", self._reply(behaviour, event)))
        elif handler is not None and not isinstance(handler, EventHandler):
            if event.type == handler.source:
                self.requests.append(event)
            self.pending.append(Coming("event", event))
        else:
            self.heard.append(event)

    def _reply(self, behaviour: Behaviour, request: Event[Any]) -> Event[Any]:
        # By what is asked and how often, not by the id: a request keeps its answer when things
        # come in another order, and one that is made again may get another.
        key = orjson.dumps([request.type, request.subject, request.raw], default=dict)
        attempt = self.attempts[key] = self.attempts.get(key, -1) + 1
        first = blake2b(key, digest_size=4).digest()[0]
        answers = behaviour.answers
        return reply_to(request, behaviour.contract, answers[(first + attempt) % len(answers)])

    def _stands(self, alarm: PendingTimer) -> bool:
        record = self.records.get(alarm.event.subject)
        return (
            record is not None
            and record.status == "active"
            and any(timer.id == alarm.event.id for timer in record.timers.values())
        )

    def _signals(self) -> Iterator[Coming]:
        event = self.scenario.event
        for number, (contract, payload) in enumerate(self.scenario.signals):
            key = f"signal-{number}"
            made = contract.accepts(
                payload, source=CLIENT, id=key, subject=event.subject, to=event.to, time=TIME
            )
            yield Coming("signal", made)


def forget(system: System) -> None:
    """Let flows start cold: what is kept warm may hide that a replay goes another way."""
    for handler in system.handlers:
        if isinstance(handler, FlowHandler):
            handler.live.clear()


def workflows(system: System) -> tuple[WorkflowHandler, ...]:
    """Give the workflows of a system."""
    return tuple(each for each in system.handlers if not isinstance(each, EventHandler))


def services(system: System) -> Mapping[str, VersionedContract[Any]]:
    """Give the contracts that its workflows ask and that none of them is, by dataschema."""
    inside = {each.source for each in workflows(system)}
    asked = (
        service
        for handler in workflows(system)
        for version in handler.versions
        for service in handler.services_of(version)
    )
    return {each.dataschema: each for each in asked if each.type not in inside}


def _line(happened: Happened) -> str:
    event = happened.coming.event
    said = code(event.data)
    settled = happened.settled
    match happened.coming.source:
        case "event":
            line = f"{said} comes to {event.to}"
        case "reply":
            line = f"{said} answers ({event.source})"
        case "signal":
            line = f"{said} comes as a signal"
        case "timer":
            line = f"the timer {event.raw['name']!r} fires"
        case "cancellation":
            line = f"{said} comes"
    if not isinstance(settled, Commit):
        return f"{line}: {type(settled).__name__}"
    if settled.outcome == "handled" and settled.record is not None:
        sent = ", ".join(code(each.data) for each in settled.events)
        done = " and it is done" if settled.record.status == "done" else ""
        return f"{line}{f' -> {sent}' if sent else ''}{done}"
    return f"{line}: {settled.outcome}"
