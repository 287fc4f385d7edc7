"""Labels: computes the labels of a workflow from its record, by its handler's function."""

from typing import Any

from arvo.core.labels import read_labels
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violated, Violation
from arvo.engine.system.handler import WorkflowHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.interrupts import is_interrupt


def labels_of(handler: WorkflowHandler, record: Record) -> FrozenDict | Violation:
    """Compute the labels of a workflow, or return the violation of a function that is wrong.

    A workflow without a state has none. One that failed has those of its last good turn, whose
    state its record has.
    """
    if handler.labels is None or not record.init:
        return record.labels
    try:
        state = _state_of(handler, record)
        labels = EMPTY if state is None else read_labels(handler.labels(state))
    except Violated as violated:
        return violated.violation
    except BaseException as error:
        if is_interrupt(error):
            raise
        labels = Issues((Issue("labels", "a function that takes this state", short_repr(error)),))
    if isinstance(labels, Issues):
        return ExecutionViolation(f"the labels of {handler.source} are invalid", labels)
    return labels


def _state_of(handler: WorkflowHandler, record: Record) -> Any:
    if isinstance(handler, FlowHandler):
        # Its variables would take a replay in each turn.
        return handler.read_input(record) if record.journal else None
    if record.state is None:
        return None
    return handler.query(record)
