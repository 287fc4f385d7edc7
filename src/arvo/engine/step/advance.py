"""Advance: run one turn of a workflow of any kind."""

from typing import Any

from arvo.core.violations.violation import Violated, Violation
from arvo.engine.step.admit import Admitted, admit_turn
from arvo.engine.step.pending import PendingRequests
from arvo.engine.system.handler import WorkflowHandler
from arvo.handlers.effect import Perform
from arvo.handlers.flow.advance import advance_flow
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.invoke import invoke, normalise
from arvo.handlers.machine.advance import advance_machine
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.resumable import Resumable, Turn, group_by_type
from arvo.handlers.services import find_emitting
from arvo.handlers.turn_input import TurnInput, TurnOutcome


def advance(
    handler: WorkflowHandler, turn: TurnInput, filed: PendingRequests
) -> TurnOutcome | Perform[Any] | Violation:
    """Run one turn of a workflow, in the version that *turn* names.

    *filed*: the pending requests of the record, with the event of this turn filed as a reply.
    """
    match handler:
        case Resumable():
            return _advance_resumable(handler, turn, filed)
        case FlowHandler():
            return advance_flow(handler, turn)
        case Orchestrator():
            return advance_machine(handler.machines[turn.version], turn)


def _advance_resumable(
    handler: Resumable[Any], turn: TurnInput, filed: PendingRequests
) -> TurnOutcome | Perform[Any] | Violation:
    argument = _make_argument(handler, turn, filed)
    if not isinstance(argument, Turn):
        return argument
    function = handler.functions[turn.version]
    result = invoke(function, argument, turn.performed, stack=turn.stack)
    return TurnOutcome(commands=normalise(result)) if isinstance(result, tuple) else result


def _make_argument(
    handler: Resumable[Any], turn: TurnInput, filed: PendingRequests
) -> Turn[Any] | Violation:
    event, record = turn.event, turn.record
    try:
        state = None if record is None else handler.query(record)
    except Violated as violated:
        return violated.violation
    starts = event.type == handler.source
    is_reply = bool(find_emitting(handler.services, event.type))
    collected = []
    for reply in (reply for sent in filed.values() for reply in sent.replies):
        admitted = admit_turn(handler, turn.version, reply)
        # The reply was admitted when it came. A contract that changed since may refuse it now; then
        # the function gets it as it is stored.
        collected.append(admitted.event if isinstance(admitted, Admitted) else reply)
    return Turn(
        event=event,
        state=state,
        collected=group_by_type(collected),
        record=record,
        input=event if starts else None,
        service=event if is_reply else None,
    )
