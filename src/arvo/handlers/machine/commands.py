"""Commands: the commands of a chart, translated into those of a workflow."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from hashlib import blake2b
from typing import Any, Final, TypeAlias

from attrs import define, field

from arvo.core.command import (
    TIMER_NAME_CHARACTERS_MAX,
    Cancel,
    Command,
    Emit,
    Schedule,
)
from arvo.core.events.protocol import TimerFired
from arvo.core.payloads.types.adapters import is_payload_class
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, ExecutionViolation, Violation
from arvo.handlers.machine.compile import ENQUEUE
from arvo.handlers.machine.emission import to_command
from arvo.handlers.machine.machine import Machine
from arvo.handlers.machine.persistence import dump_chart_timer
from arvo.handlers.turn_input import TurnInput
from arvo.statechart.definition import commands as chart

# Marks the payload of a timer that the chart started; its value is "raise" or "send".
CHART_TIMER_KEY: Final = "statechart"

_SUFFIX_CHARACTERS_MAX: Final = 20  # of a timer's name, for "#" and a number

Translated: TypeAlias = tuple[Command, ...] | Violation


def translate_commands(
    machine: Machine[Any], turn: TurnInput, commands: Sequence[chart.Command]
) -> Translated:
    """Translate the commands of one turn, or return the violation of the first that is invalid.

    Emitted events come first, in order, and then the enqueued ones.
    """
    if not commands:
        return ()
    if turn.record is not None and turn.record.timers:
        pending, others = _pending_chart_timers(turn), frozenset(_other_timer_names(turn))
        translator = _Translator(machine, pending, others)
    else:
        translator = _Translator(machine, {}, frozenset())
    for command in commands:
        violation = translator.add(command)
        if violation is not None:
            return violation
    return (*translator.commands, *translator.enqueued)


def _pending_chart_timers(turn: TurnInput) -> dict[str, str | None]:
    """Return the chart's ids of its pending timers, by the names that the workflow has for them."""
    data, record = turn.event.data, turn.record
    fired = data.name if isinstance(data, TimerFired) else None
    timers = {} if record is None else record.timers
    return {
        name: timer.payload["id"]
        for name, timer in timers.items()
        if timer.payload is not None and CHART_TIMER_KEY in timer.payload and name != fired
    }


def _other_timer_names(turn: TurnInput) -> Iterator[str]:
    """Iterate over the names of pending timers that the chart did not start."""
    for name, timer in {} if turn.record is None else turn.record.timers.items():
        if timer.payload is None or CHART_TIMER_KEY not in timer.payload:
            yield name


@define
class _Translator:
    """The commands translated so far.

    *pending*: the chart's timers as these commands leave them, by name. *others*: the names of
    the timers that the author's own commands started.
    """

    machine: Machine[Any]
    pending: dict[str, str | None]
    others: frozenset[str]
    commands: list[Command] = field(factory=list)
    enqueued: list[Command] = field(factory=list)

    def add(self, command: chart.Command) -> Violation | None:
        """Translate one command of the chart."""
        match command:
            case chart.Emit(event=event):
                return self._add(event, self.commands)
            case chart.Schedule():
                return self._schedule(command, "raise")
            case chart.Send(event=event, delay_ms=delay, id=id_):
                # Those without a delay have been processed in the same turn.
                return self._schedule(chart.Schedule(event, delay or 0, id_), "send")
            case chart.Cancel(id=id_):
                for name in [name for name, pending in self.pending.items() if pending == id_]:
                    del self.pending[name]
                    self.commands.append(Cancel(name))
            case chart.Act(type=name, params=params):
                if name == ENQUEUE:
                    return self._add(params, self.enqueued)
                extra = "" if params is None else f", {short_repr(params)}"
                got = f"act({name!r}{extra})"
                issue = Issue("act", "an implemented action: a function, or emit(...)", got)
                return ConfigViolation(f"{self.machine.source} runs an unknown action", issue)
        return None

    def _add(self, event: object, commands: list[Command]) -> Violation | None:
        command = to_command(self.machine, event)
        if isinstance(command, Emit):
            commands.append(command)
            return None
        if isinstance(command, Schedule | Cancel) and command.name in self.pending:
            expected = "a timer name that the chart does not use"
            issue = Issue("emit", expected, repr(command.name))
            return ExecutionViolation(f"{self.machine.source} uses a timer of its chart", issue)
        if isinstance(command, Schedule):
            if _has_chart_timer_key(command.payload):
                expected = f"a payload without the key {CHART_TIMER_KEY!r}"
                issue = Issue("emit", expected, short_repr(command.payload))
                message = f"{self.machine.source} schedules a timer with a reserved key"
                return ExecutionViolation(message, issue)
            self.others |= {command.name}
        if isinstance(command, Violation):
            return command
        commands.append(command)
        return None

    def _schedule(self, timer: chart.Schedule, kind: str) -> Violation | None:
        id_: object = timer.id
        if not isinstance(id_, str | None):
            issue = Issue("timer", "an id that is a string", short_repr(id_))
            return ExecutionViolation(f"{self.machine.source} starts a timer with a bad id", issue)
        payload = dump_chart_timer(self.machine, timer)
        if not isinstance(payload, dict):
            return payload
        name = self._timer_name(timer)
        try:
            # A delay in the past means now, as in JavaScript.
            after = timedelta(milliseconds=max(timer.delay_ms, 0))
            self.commands.append(
                Schedule(name, after=after, payload={CHART_TIMER_KEY: kind, **payload})
            )
        except (TypeError, ValueError, OverflowError):
            issue = Issue(f"timer {name}", "a delay in milliseconds", short_repr(timer.delay_ms))
            message = f"{self.machine.source} starts a timer with a bad delay"
            return ExecutionViolation(message, issue)
        self.pending[name] = timer.id
        return None

    def _timer_name(self, timer: chart.Schedule) -> str:
        """Return a unique name made of the timer's id.

        A chart may have several pending timers with one id, a workflow only one with each name.
        """
        first = timer.id or self.machine.chart.compiled.type_of(timer.event)
        characters_max = TIMER_NAME_CHARACTERS_MAX - _SUFFIX_CHARACTERS_MAX
        if len(first) > characters_max:
            digest = blake2b(first.encode(), digest_size=8).hexdigest()
            first = f"{first[: characters_max - len(digest) - 1]}~{digest}"
        name, number = first, 1
        while name in self.pending or name in self.others:
            number += 1
            name = f"{first}#{number}"
        return name


def _has_chart_timer_key(payload: object) -> bool:
    if isinstance(payload, Mapping):
        return CHART_TIMER_KEY in payload
    return is_payload_class(type(payload)) and hasattr(payload, CHART_TIMER_KEY)
