"""Advance: let a workflow take one turn, whatever its kind."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from arvo.core.events.event import Event
from arvo.core.violations.violation import Violated, Violation
from arvo.engine.step.admit import Admitted, admit_turn
from arvo.engine.system.system import WorkflowHandler
from arvo.handlers.effect import Perform
from arvo.handlers.flow.advance import follow
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.invoke import reply, settled
from arvo.handlers.machine.advance import move
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.resumable import Resumable, Turn, collected
from arvo.handlers.services import answering
from arvo.handlers.turn_input import TurnInput, TurnOutcome

Awaited: TypeAlias = Mapping[str, tuple[Event[Any], ...]]


def advance(
    handler: WorkflowHandler, moment: TurnInput, awaited: Awaited
) -> TurnOutcome | Perform[Any] | Violation:
    """Take a turn of a workflow that has *moment*'s version; *awaited*: with its event filed."""
    match handler:
        case Resumable():
            return _resume(handler, moment, awaited)
        case FlowHandler():
            return follow(handler, moment)
        case Orchestrator():
            return move(handler.machines[moment.version], moment)


def _resume(
    handler: Resumable[Any], moment: TurnInput, awaited: Awaited
) -> TurnOutcome | Perform[Any] | Violation:
    turn = _turn(handler, moment, awaited)
    if not isinstance(turn, Turn):
        return turn
    function = handler.functions[moment.version]
    replied = reply(function, turn, moment.performed, stack=moment.stack)
    return TurnOutcome(commands=settled(replied)) if isinstance(replied, tuple) else replied


def _turn(handler: Resumable[Any], moment: TurnInput, awaited: Awaited) -> Turn[Any] | Violation:
    event, record = moment.event, moment.record
    try:
        state = None if record is None else handler.query(record)
    except Violated as violated:
        return violated.violation
    begins = event.type == handler.source
    answers = bool(answering(handler.services, event.type))
    replies = []
    for reply_ in (each for replied in awaited.values() for each in replied):
        admitted = admit_turn(handler, moment.version, reply_)
        # A reply was admitted when it came; it may have gone stale under a changed contract.
        replies.append(admitted.event if isinstance(admitted, Admitted) else reply_)
    return Turn(
        event=event,
        state=state,
        collected=collected(replies),
        record=record,
        input=event if begins else None,
        service=event if answers else None,
    )
