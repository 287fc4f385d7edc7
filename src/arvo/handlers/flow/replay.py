"""Replay: rebuilds a running flow from its record."""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final, final

from attrs import frozen

from arvo.core.contracts.orchestrator import OrchestratorContract
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violated
from arvo.handlers.effect import Perform
from arvo.handlers.flow.execution import FlowExecution
from arvo.handlers.flow.journal import JournalEntry, journal_mismatch, read_reply, read_signal
from arvo.handlers.flow.operations import Delay, Request, WaitForSignal
from arvo.handlers.flow.version import FlowVersion


@final
@frozen
class FlowView:
    """The progress of a flow.

    *waiting* describes each operation that it waits for, as one line, such as `sleep 1:00:00`.
    *variables* holds the local variables of its function, *unread* the number of unread signals.
    *line* is the number of the line in its source file at which the function waits, None where it
    does not.
    """

    waiting: tuple[str, ...]
    variables: Mapping[str, Any]
    unread: int = 0
    line: int | None = None


def replay_flow(
    contract: OrchestratorContract[Any, Any], flow_version: FlowVersion, record: Record
) -> FlowExecution:
    """Run a flow to the point of its record, with the answers of its journal.

    Commands are compared with the journal, not issued again. Raises `Violated` where the flow
    performs other operations than before, and where the record is not that of a flow.
    """
    try:
        state = _state(record)
        execution = FlowExecution(
            handler=contract.type,
            flow_version=flow_version,
            subject=record.subject,
            init=record.init,
            event=first_event(contract, record),
            generation=state["generation"],
            journal=record.journal,
            state=record.state,
            signals=list(state["signals"]),
        )
        waiting = {int(number): description for number, description in state["waiting"].items()}
    except _DAMAGED as error:
        raise _not_a_flow(error) from error
    try:
        _replay_journal(execution)
        _compare(waiting, execution.descriptions)
    except Violated:
        execution.scheduler.close()
        raise
    except _DAMAGED as error:
        execution.scheduler.close()
        raise _not_a_flow(error) from error
    execution.mark_idle(record.journal, record.state)
    return execution


def read_waiting(record: Record) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the pending operations and the types of the unread signals from a flow's record.

    The operations are described as in `FlowView.waiting`. Both are empty for a record of another
    kind of workflow.
    """
    state = record.state
    if not record.journal or not isinstance(state, Mapping) or "waiting" not in state:
        return (), ()
    signals = state.get("signals", ())
    return (
        tuple(map(str, state["waiting"].values())),
        tuple(str(signal["type"]) for signal in signals),
    )


# The exceptions of reading a record that was damaged, or written by another kind of workflow.
_DAMAGED: Final = (LookupError, TypeError, ValueError, AttributeError)


def _replay_journal(execution: FlowExecution) -> None:
    # The first entry holds the event that began the workflow.
    execution.is_replaying, execution.unreplayed = True, deque(execution.journal[1:])
    execution.start()
    while execution.unreplayed:
        entry = execution.unreplayed.popleft()
        execution.check_entry(entry, entry["at"])
        _replay_entry(execution, entry)
    execution.end_replay()


def _replay_entry(execution: FlowExecution, entry: JournalEntry) -> None:
    """Complete an operation with its recorded answer."""
    number, answer = entry["at"], entry["got"]
    scheduler, flow_version = execution.scheduler, execution.flow_version
    operation = scheduler.open[number][1]
    execution.forget(number, operation)
    match operation:
        case Request() if "type" in answer:
            payload = read_reply(flow_version.services, operation, answer)
            execution.answer_request(number, operation, answer["type"], payload)
        case WaitForSignal() if "type" in answer:
            payload = read_signal(flow_version.signals, answer)
            execution.answer_signal(number, answer, payload)
        case Delay() | WaitForSignal() if "due" in answer:
            scheduler.answer(number, None)
        case Perform() if "call" in answer:
            execution.answer_call(number, operation, answer["call"])
        case _:
            raise journal_mismatch(number, f"an answer to {entry['asked']}", f"{dict(answer)}")


def _not_a_flow(error: Exception) -> Violated:
    issue = Issue("record", "the state and journal of a flow", short_repr(error))
    return Violated(ExecutionViolation("the record is not that of a flow", issue))


def _compare(before: Mapping[int, str], now: Mapping[int, str]) -> None:
    for number in sorted(before.keys() | now.keys()):
        if before.get(number) != now.get(number):
            raise journal_mismatch(
                number, before.get(number, "nothing more"), now.get(number, "nothing")
            )


def _state(record: Record) -> Mapping[str, Any]:
    if not isinstance(record.state, Mapping):
        raise TypeError(f"state: {short_repr(record.state)}")
    return record.state


def first_event(contract: OrchestratorContract[Any, Any], record: Record) -> Event[Any]:
    """Return the event that began a flow, or its last continuation as new.

    Raises `Violated` where the contract does not accept its payload.
    """
    event = Event.from_dict(record.journal[0]["event"])
    data = contract.version(record.version).accepted.read(event.raw, "journal[0].event.data")
    if isinstance(data, Issues):
        message = "the flow no longer accepts the payload that began it"
        raise Violated(ExecutionViolation(message, data))
    return event.with_payload(data, event.raw)
