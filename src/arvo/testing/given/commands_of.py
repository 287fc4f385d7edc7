"""Wanted: what a handler wants of one event, before anything is sealed."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

from arvo.core.command import Command, Violate
from arvo.core.events.event import Event
from arvo.core.events.subject import Subject
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ConfigViolation, Violation
from arvo.engine.step.admit import Admitted, admit_event, admit_subject, admit_turn
from arvo.engine.step.advance import advance
from arvo.engine.step.step import awaited_with
from arvo.engine.system.system import Handler, WorkflowHandler
from arvo.handlers.effect import Perform, Performed
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.invoke import Replied, reply
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.resumable import Resumable
from arvo.handlers.turn_input import TurnInput, TurnOutcome

Effects: TypeAlias = Mapping[Callable[..., Any], Callable[..., Any]]


def wanted(
    handler: Handler, event: Event[Any], record: Record | None, *, now: datetime, effects: Effects
) -> tuple[Command, ...] | Violation:
    """Give the commands of one turn as the handler says them; exceptions carry their stack."""
    return answered(partial(_replied, handler, event, record, now), effects)


def answered(
    turn: Callable[[list[Performed]], Replied], effects: Effects
) -> tuple[Command, ...] | Violation:
    """Take a turn to its end: its effects so far are told, until it asks for no more."""
    performed: list[Performed] = []
    while True:
        replied = turn(performed)
        if not isinstance(replied, Perform):
            return replied
        substitute = effects.get(replied.function)
        if substitute is None:
            issue = Issue("effects", f"a function for {short(replied.function)}", "none")
            return ConfigViolation("an effect is asked for that the table lacks", issue)
        try:
            performed.append(Performed(replied, value=substitute(*replied.args)))
        except Exception as error:  # noqa: BLE001 - raised again at the handler's `yield from`
            performed.append(Performed(replied, error=error))


def is_own(found: tuple[Command, ...] | Violation) -> bool:
    """Tell whether a turn violates by itself, and not only by what it wants."""
    return not isinstance(found, tuple) or any(isinstance(each, Violate) for each in found)


def _replied(
    handler: Handler,
    event: Event[Any],
    record: Record | None,
    now: datetime,
    performed: list[Performed],
) -> Replied:
    match handler:
        case EventHandler():
            admitted = admit_event(handler, event)
            if not isinstance(admitted, Admitted):
                return admitted
            function = handler.functions[admitted.contract.version]
            return reply(function, admitted.event, performed, stack=True)
        case Resumable() | Orchestrator() | FlowHandler():
            return _turned(handler, event, record, now, performed)


def _turned(
    handler: WorkflowHandler,
    event: Event[Any],
    record: Record | None,
    now: datetime,
    performed: list[Performed],
) -> Replied:
    subject = admit_subject(event)
    if not isinstance(subject, Subject):
        return subject
    version = subject.orchestrator.version if record is None else record.version
    admitted = admit_turn(handler, version, event)
    if not isinstance(admitted, Admitted):
        return admitted
    moment = TurnInput(
        event=admitted.event,
        subject=subject,
        version=version,
        record=record,
        now=now,
        performed=performed,
        stack=True,
    )
    advanced = advance(handler, moment, awaited_with(record, admitted.event))
    return advanced.commands if isinstance(advanced, TurnOutcome) else advanced
