"""Commands of: the commands that a handler returns for one event, before a commit is built."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from arvo.core.command import Command, Violate
from arvo.core.events.event import Event
from arvo.core.events.subject import Subject
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violation
from arvo.engine.step.admit import Admitted, admit_event, admit_subject, admit_turn
from arvo.engine.step.advance import advance
from arvo.engine.step.pending import file_reply
from arvo.engine.system.handler import Handler, WorkflowHandler, is_workflow
from arvo.handlers.effect import EffectTable, Perform, Performed, effect_error
from arvo.handlers.invoke import InvocationResult, invoke
from arvo.handlers.turn_input import TurnInput, TurnOutcome
from arvo.interrupts import is_interrupt


def commands_of(
    handler: Handler,
    event: Event[Any],
    record: Record | None,
    *,
    now: datetime,
    effects: EffectTable,
) -> tuple[Command, ...] | Violation:
    """Return the commands of one turn as the handler returns them.

    A `Fail` of an exception that the handler raised has its stack.
    """
    return run_turn(partial(_invoke, handler, event, record, now), effects)


def run_turn(
    turn: Callable[[list[Performed]], InvocationResult], effects: EffectTable
) -> tuple[Command, ...] | Violation:
    """Run a turn until it calls no more effects.

    *turn* takes the results of the effects so far. An effect that the table lacks is a
    `ConfigViolation`.
    """
    performed: list[Performed] = []
    while True:
        result = turn(performed)
        if not isinstance(result, Perform):
            return result
        substitute = effects.get(result.function)
        if substitute is None:
            issue = Issue("effects", f"a function for {short_repr(result.function)}", "none")
            return ConfigViolation("no function replaces this effect", issue)
        try:
            performed.append(Performed(result, value=substitute(*result.args)))
        except BaseException as error:
            if is_interrupt(error):
                raise
            # Raised again at the handler's `yield from`.
            performed.append(Performed(result, error=effect_error(result, error)))


def is_explicit_violation(result: tuple[Command, ...] | Violation) -> bool:
    """Return True if the turn itself violates; its commands may still be invalid otherwise."""
    if not isinstance(result, tuple):
        return True
    return any(isinstance(command, Violate) for command in result)


def _invoke(
    handler: Handler,
    event: Event[Any],
    record: Record | None,
    now: datetime,
    performed: list[Performed],
) -> InvocationResult:
    if is_workflow(handler):
        return _invoke_workflow(handler, event, record, now, performed)
    admitted = admit_event(handler, event)
    if not isinstance(admitted, Admitted):
        return admitted
    function = handler.functions[admitted.contract.version]
    return invoke(function, admitted.event, performed, stack=True)


def _invoke_workflow(
    handler: WorkflowHandler,
    event: Event[Any],
    record: Record | None,
    now: datetime,
    performed: list[Performed],
) -> InvocationResult:
    subject = admit_subject(event)
    if not isinstance(subject, Subject):
        return subject
    version = subject.orchestrator.version if record is None else record.version
    admitted = admit_turn(handler, version, event)
    if not isinstance(admitted, Admitted):
        return admitted
    turn_input = TurnInput(
        event=admitted.event,
        subject=subject,
        version=version,
        record=record,
        now=now,
        performed=performed,
        stack=True,
    )
    outcome = advance(handler, turn_input, file_reply(record, admitted.event))
    return outcome.commands if isinstance(outcome, TurnOutcome) else outcome
