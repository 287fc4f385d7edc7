"""Replay: bring a flow to where its record stands."""

from collections.abc import Mapping
from typing import Any, Final, final

from attrs import frozen

from arvo.core.contracts.specialised import OrchestratorContract
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues, short
from arvo.core.violations.violation import ExecutionViolation, Violated
from arvo.handlers.flow.execution import FlowVersion, Progress, differs


@final
@frozen
class FlowView:
    """Where a flow stands: what it waits for, in its own words, the local variables of its
    function, and how many signals it has not read.
    """

    waiting: tuple[str, ...]
    variables: Mapping[str, Any]
    unread: int = 0


def replayed(
    contract: OrchestratorContract[Any, Any], part: FlowVersion, record: Record
) -> Progress:
    """Tell a flow again what it was told; raises `Violated` where it does not come to where it was.

    Nothing is done on the way: commands of before are compared, and not wanted again.
    """
    try:
        progress = Progress(
            handler=contract.type,
            part=part,
            subject=record.subject,
            init=record.init,
            event=_event(contract, record),
            generation=_state(record)["generation"],
            journal=record.journal,
            state=record.state,
            signals=list(_state(record)["signals"]),
        )
        waiting = {int(number): asked for number, asked in _state(record)["waiting"].items()}
    except _DAMAGED as error:
        raise _no_flows(error) from error
    try:
        progress.replay()
        _compare(waiting, progress.asked)
    except Violated:
        progress.track.close()
        raise
    except _DAMAGED as error:
        progress.track.close()
        raise _no_flows(error) from error
    progress.rest(record.journal, record.state)
    return progress


def told_by_flow(record: Record) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Say what a flow waits for, in its own words, and the types of the signals that it has not
    read, as its record tells them: nothing for a record of another kind of workflow.
    """
    state = record.state
    if not record.journal or not isinstance(state, Mapping) or "waiting" not in state:
        return (), ()
    signals = state.get("signals", ())
    return tuple(map(str, state["waiting"].values())), tuple(str(each["type"]) for each in signals)


# What a record that was written by hand, or by another kind of workflow, makes of reading it.
_DAMAGED: Final = (LookupError, TypeError, ValueError, AttributeError)


def _no_flows(error: Exception) -> Violated:
    issue = Issue("record", "the state and journal of a flow", short(error))
    return Violated(ExecutionViolation("this is no flow's record", issue))


def _compare(before: Mapping[int, str], now: Mapping[int, str]) -> None:
    for number in sorted(before.keys() | now.keys()):
        if before.get(number) != now.get(number):
            raise differs(number, before.get(number, "nothing more"), now.get(number, "nothing"))


def _state(record: Record) -> Mapping[str, Any]:
    if not isinstance(record.state, Mapping):
        raise TypeError(f"state: {short(record.state)}")
    return record.state


def _event(contract: OrchestratorContract[Any, Any], record: Record) -> Event[Any]:
    event = Event.from_dict(record.journal[0]["event"])
    data = contract.version(record.version).accepted.read(event.raw, "journal[0].event.data")
    if isinstance(data, Issues):
        raise Violated(ExecutionViolation("the flow no longer takes what began it", data))
    return event.carrying(data, event.raw)
