"""Carry: what a chart wants, said in commands."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from hashlib import blake2b
from typing import Any, Final, TypeAlias

import attrs
from attrs import define, field

from arvo.core.command import (
    TIMER_NAME_CHARACTERS_MAX,
    Cancel,
    Command,
    Compensate,
    Complete,
    Emit,
    Fail,
    Log,
    Persist,
    Schedule,
    Violate,
)
from arvo.core.events.identity import GivenId, Managed
from arvo.core.events.protocol import TimerFired
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ConfigViolation, ExecutionViolation, Violation
from arvo.handlers.machine.compile import ENQUEUE
from arvo.handlers.machine.machine import Machine
from arvo.handlers.machine.persistence import remember_timer
from arvo.handlers.turn_input import TurnInput
from arvo.statechart.definition import commands as chart

# The key under which a timer's payload says that the chart set it: "raise" or "send".
BY_CHART: Final = "statechart"

Carried: TypeAlias = tuple[Command, ...] | Violation


def carried(machine: Machine[Any], moment: TurnInput, wanted: Iterable[chart.Command]) -> Carried:
    """Say in commands what a chart wants in one turn, or which of it cannot be.

    Emitted events first, in order, and behind them those that were enqueued (reference F147).
    """
    found = _Carried(machine, _pending(moment), frozenset(_others(moment)))
    for command in wanted:
        violation = found.take(command)
        if violation is not None:
            return violation
    return (*found.commands, *found.enqueued)


def _pending(moment: TurnInput) -> dict[str, str | None]:
    """Give the timers of the chart that are pending: the chart's id for each name."""
    data, record = moment.event.data, moment.record
    fired = data.name if isinstance(data, TimerFired) else None
    timers = {} if record is None else record.timers
    return {
        name: timer.payload["id"]
        for name, timer in timers.items()
        if timer.payload is not None and BY_CHART in timer.payload and name != fired
    }


def _others(moment: TurnInput) -> Iterator[str]:
    """Name the timers that are pending and none of the chart's."""
    for name, timer in {} if moment.record is None else moment.record.timers.items():
        if timer.payload is None or BY_CHART not in timer.payload:
            yield name


@define
class _Carried:
    """Commands gathered so far. *pending*: the chart's timers, as they are after them; *others*:
    the names of those that are the author's own.
    """

    machine: Machine[Any]
    pending: dict[str, str | None]
    others: frozenset[str]
    commands: list[Command] = field(factory=list)
    enqueued: list[Command] = field(factory=list)

    def take(self, command: chart.Command) -> Violation | None:
        """Add one command of the chart."""
        match command:
            case chart.Emit(event=event):
                return self._add(event, self.commands)
            case chart.Schedule():
                return self._schedule(command, "raise")
            case chart.Send(event=event, delay_ms=delay, id=id_):
                # Those without a delay have been taken in the same turn.
                return self._schedule(chart.Schedule(event, delay or 0, id_), "send")
            case chart.Cancel(id=id_):
                for name in [name for name, each in self.pending.items() if each == id_]:
                    del self.pending[name]
                    self.commands.append(Cancel(name))
            case chart.Act(type=name, params=params):
                if name == ENQUEUE:
                    return self._add(params, self.enqueued)
                issue = Issue(f"act({name!r})", "an action that is implemented", short(params))
                return ConfigViolation(f"{self.machine.source} cannot do what it wants", issue)
        return None

    def _add(self, event: object, to: list[Command]) -> Violation | None:
        command = command_of(self.machine, event)
        if isinstance(command, Schedule | Cancel) and command.name in self.pending:
            issue = Issue("emit", "a timer of another name: the chart has this", command.name)
            return ExecutionViolation(f"{self.machine.source} touches a timer of its chart", issue)
        if isinstance(command, Schedule):
            if _marked(command.payload):
                issue = Issue("emit", f"a payload without {BY_CHART!r}", short(command.payload))
                message = f"{self.machine.source} sets a timer that looks like one of its chart"
                return ExecutionViolation(message, issue)
            self.others |= {command.name}
        if isinstance(command, Violation):
            return command
        to.append(command)
        return None

    def _schedule(self, timer: chart.Schedule, kind: str) -> Violation | None:
        id_: object = timer.id
        if not isinstance(id_, str | None):
            issue = Issue("timer", "an id that is a text", short(id_))
            return ExecutionViolation(f"{self.machine.source} sets a timer of no name", issue)
        said = remember_timer(self.machine, timer)
        if not isinstance(said, dict):
            return said
        name = self._name(timer)
        try:
            # A delay in the past means now, as in JavaScript.
            after = timedelta(milliseconds=max(timer.delay_ms, 0))
            self.commands.append(Schedule(name, after=after, payload={BY_CHART: kind, **said}))
        except (TypeError, ValueError, OverflowError):
            issue = Issue(f"timer {name}", "milliseconds", short(timer.delay_ms))
            return ExecutionViolation(f"{self.machine.source} sets a timer for no time", issue)
        self.pending[name] = timer.id
        return None

    def _name(self, timer: chart.Schedule) -> str:
        """Name a timer after its id; a chart may have several pending with one id, arvo not."""
        first = timer.id or self.machine.chart.compiled.type_of(timer.event)
        room = TIMER_NAME_CHARACTERS_MAX - 20
        if len(first) > room:
            digest = blake2b(first.encode(), digest_size=8).hexdigest()
            first = f"{first[: room - 17]}~{digest}"
        name, number = first, 1
        while name in self.pending or name in self.others:
            number += 1
            name = f"{first}#{number}"
        return name


def _marked(payload: object) -> bool:
    if isinstance(payload, Mapping):
        return BY_CHART in payload
    return attrs.has(type(payload)) and hasattr(payload, BY_CHART)


# What a chart may say by `tell`.
_MAY: Final = (Emit, Compensate, Log, Fail, Violate, Schedule, Cancel)


def command_of(machine: Machine[Any], given: Any) -> Command | Violation:
    """Take what a chart emits as a command: a command, a payload, or a mapping as XState has it."""
    match given:
        case Persist():
            issue = Issue("emit", "assign(...): a machine remembers by itself", "a Persist")
        case Complete():
            issue = Issue("emit", "output=...: a machine completes by its end", "a Complete")
        case _ if isinstance(given, _MAY):
            return given
        case Mapping():
            return _from_mapping(machine, given)
        case _ if attrs.has(type(given)):
            return Emit(given)
        case _:
            issue = Issue("emit", "a payload, or a command such as Emit(...)", short(given))
    return ExecutionViolation(f"{machine.source} emits what nobody can send", issue)


_KEYS: Final = (
    "type", "data", "to", "domain", "redirectto", "accesscontrol", "executionunits", "id",
    "__extensions",
)  # fmt: skip


def _from_mapping(machine: Machine[Any], given: Mapping[str, Any]) -> Emit | Violation:
    """Read an event as the reference's `tell` takes it (F093, F143)."""
    unknown = [key for key in given if key not in _KEYS]
    message = f"{machine.source} emits what nobody can send"
    if unknown or not isinstance(given.get("type"), str):
        issue = Issue("emit", f"a mapping of {', '.join(_KEYS)}, with a type", short(given))
        return ExecutionViolation(message, issue)
    said = {key: given[key] for key in _KEYS[2:7] if key in given}
    return Emit(
        given.get("data", {}),
        type=given["type"],
        id=id_of(given.get("id")),
        extensions=given.get("__extensions") or {},
        **said,
    )


def id_of(given: Any) -> GivenId:
    """Read an id as the reference takes it: a text, or `{deduplication, value}` (F030)."""
    match given:
        case {"deduplication": "ARVO_MANAGED", "value": str(managed)}:
            return Managed(managed)
        case {"deduplication": "DEVELOPER_MANAGED", "value": own}:
            return str(own)
        case Managed() | str():
            return given
        case _:
            return None


def completion(machine: Machine[Any], output: Any) -> Complete | Violation:
    """Say what a chart came to as the workflow's completion, an empty one too (F155, B16)."""
    match output:
        case Complete():
            return output
        case Mapping():
            data = {key: value for key, value in output.items() if not key.startswith("__")}
            return Complete(
                data,
                id=id_of(output.get("__id")),
                executionunits=output.get("__executionunits"),
                domain=output.get("__domain", ()),
            )
        case _ if attrs.has(type(output)):
            return Complete(output)
        case _:
            issue = Issue("output", "what the workflow completes with", short(output))
            return ExecutionViolation(f"{machine.source} comes to no completion", issue)
