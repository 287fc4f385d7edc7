"""Timers: which timers are pending after a macrostep."""

from collections.abc import Iterable

from arvo.statechart.definition.commands import Cancel, Command, Schedule
from arvo.statechart.execution.snapshot import Memory


def pending_timers(
    timers: tuple[Schedule, ...], commands: Iterable[Command]
) -> tuple[Schedule, ...]:
    """Return *timers* with those that *commands* start and without those that they cancel."""
    pending = list(timers)
    for command in commands:
        if isinstance(command, Schedule):
            pending.append(command)
        elif isinstance(command, Cancel):
            pending = [timer for timer in pending if timer.id != command.id]
    return tuple(pending)


def without_timer(memory: Memory, due: Schedule | str) -> Memory:
    """Remove the timer *due*, or all timers with the id *due*, from the pending ones."""
    if isinstance(due, str):
        timers = tuple(timer for timer in memory.timers if timer.id != due)
        return memory if len(timers) == len(memory.timers) else Memory(memory.records, timers)
    position = memory.timers.index(due)
    return Memory(memory.records, memory.timers[:position] + memory.timers[position + 1 :])
