"""Follow: let a flow take one turn, from where its journal leaves it."""

from typing import Any, Final

from arvo.core.command import Command, Complete, Fail, Log
from arvo.core.contracts.versioned import PARENT_SUBJECT
from arvo.core.events.cancellation import Cancellation
from arvo.core.events.event import Event
from arvo.core.events.protocol import TimerFired
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json import frozen_json
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues
from arvo.core.violations.violation import (
    ContractViolation,
    ExecutionViolation,
    Violated,
    Violation,
)
from arvo.handlers.effect import Perform
from arvo.handlers.flow.execution import Progress
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.flow.journal import write_call
from arvo.handlers.flow.primitives import Cancelled, Failing
from arvo.handlers.flow.replay import replayed
from arvo.handlers.flow.scheduler import Again, Raised, Returned, Stopped
from arvo.handlers.turn_input import TurnInput, TurnOutcome

# Times that a flow may begin anew in one turn, and calls that it may make, before it waits.
AGAIN_MAX: Final = 100
CALLS_MAX: Final = 1_000


def follow(
    handler: FlowHandler[Any, Any], moment: TurnInput
) -> TurnOutcome | Perform[Any] | Violation:
    """Take a turn of a flow: tell it what happened, and say what it wants and waits for."""
    subject = moment.event.subject
    progress = _within(handler, moment)
    try:
        if progress is None:
            progress = _entered(handler, moment)
        wanted = _settle(handler, progress, moment)
        if wanted is not None:
            handler.live.keep(subject, progress)
            return wanted
        advanced = _advanced(progress, moment)
    except Violated as violated:
        if progress is not None:
            progress.track.close()
        return violated.violation
    if progress.track.outcome is None:
        journal = progress.journal if advanced.journal is None else advanced.journal
        progress.rest(journal, advanced.state)
        handler.live.keep(subject, progress)
    return advanced


def _within(handler: FlowHandler[Any, Any], moment: TurnInput) -> Progress | None:
    """Find the flow where this very turn left it, to wait for the effect that is performed now."""
    progress = handler.live.take(moment.event.subject)
    if progress is None:
        return None
    event, before = progress.within, progress.performed
    if (
        event is not None
        and event == moment.event
        and len(before) < len(moment.performed)
        and all(one is other for one, other in zip(before, moment.performed, strict=False))
        and _stands_at(handler, progress, moment)
    ):
        return progress
    if event is None:
        handler.live.keep(moment.event.subject, progress)
    else:
        progress.track.close()
    return None


def _entered(handler: FlowHandler[Any, Any], moment: TurnInput) -> Progress:
    """Begin the turn: find the flow where its record stands, and tell it what happened."""
    event, record = moment.event, moment.record
    part = handler.parts[moment.version]
    if record is None:
        progress = Progress(
            handler=handler.source, part=part, subject=event.subject, init=event.id, event=event
        )
        progress.begin()
    else:
        warm = handler.live.take(event.subject)
        if warm is not None and _stands_at(handler, warm, moment):
            progress = warm
            progress.rest(record.journal, record.state)
        else:
            if warm is not None:
                warm.track.close()
            progress = replayed(handler.contract, part, record)
        _tell(progress, event)
    progress.within = event
    return progress


def _stands_at(handler: FlowHandler[Any, Any], progress: Progress, moment: TurnInput) -> bool:
    if progress.part is not handler.parts[moment.version]:
        return False
    journal, state = _remembered(moment.record)
    # Mostly the very objects; else they are compared, for two histories may be equally long.
    return (progress.journal is journal or progress.journal == journal) and (
        progress.state is state or progress.state == state
    )


def _remembered(record: Record | None) -> tuple[tuple[Any, ...], Any]:
    return ((), None) if record is None else (record.journal, record.state)


def _tell(progress: Progress, event: Event[Any]) -> None:
    """Tell the flow what happened; what nobody waits for is said to telemetry."""
    if isinstance(event.data, Cancellation):
        progress.track.stop(Cancelled(event.data.reason))
        return
    if isinstance(event.data, TimerFired):
        number = progress.due.get(event.data.name)
        if number is not None:
            progress.settle_due(number, event.data.at.isoformat())
            return
    elif any(signal.type == event.type for signal in progress.part.signals):
        progress.hear(event)
        return
    else:
        number = progress.due.get(_request_of(event))
        if number is not None:
            progress.settle_reply(number, event)
            return
    message = f"nobody waits for event {event.id} ({event.type}) any more"
    progress.commands.append((-1, Log("info", message)))


def _request_of(event: Event[Any]) -> str:
    # A request to several domains has one id for each: the first reply answers it.
    id_, dot, position = (event.parentid or "").rpartition(".")
    return id_ if dot and position.isdigit() else event.parentid or ""


def _settle(
    handler: FlowHandler[Any, Any], progress: Progress, moment: TurnInput
) -> Perform[Any] | None:
    """Let the flow go on until it waits for something from elsewhere, or for an effect."""
    times = 0
    while True:
        outcome = progress.track.outcome
        if isinstance(outcome, Again):
            times += 1
            if times > AGAIN_MAX:
                issue = Issue(
                    "continue_as_new", "a flow that waits", f"{times} beginnings in a turn"
                )
                raise Violated(ExecutionViolation("the flow begins anew without end", issue))
            _again(handler, progress, moment, outcome.payload)
            continue
        if outcome is not None:
            return None
        if _hears(progress):
            continue
        call = progress.next_call()
        if call is None:
            return None
        if len(progress.performed) >= len(moment.performed):
            return call[1]
        _perform(progress, moment, *call)


def _hears(progress: Progress) -> bool:
    try:
        return progress.settle_signal()
    except Violated:
        raise
    except Exception as error:  # noqa: BLE001 - a predicate of the user's may raise anything
        # Not raised in the flow: it could go on, and a replay would not meet it.
        progress.track.close()
        progress.track.outcome = Raised(error)
        return True


def _perform(progress: Progress, moment: TurnInput, number: int, wish: Perform[Any]) -> None:
    """Give the flow an effect that was performed."""
    position = len(progress.performed)
    done = moment.performed[position]
    if not wish.same(done.effect):
        issue = Issue(f"effects[{position}]", str(done.effect), str(wish))
        raise Violated(ExecutionViolation("the flow asks for another effect than before", issue))
    if position >= CALLS_MAX:
        issue = Issue("effects", f"at most {CALLS_MAX} in one turn", str(wish))
        raise Violated(ExecutionViolation("the flow does not come to wait", issue))
    progress.performed.append(done)
    progress.settle_call(number, wish, write_call(wish, done.value, done.error))


def _again(
    handler: FlowHandler[Any, Any], progress: Progress, moment: TurnInput, payload: Any
) -> None:
    accepted = handler.contract.version(moment.version).accepted
    parent = progress.event.raw.get(PARENT_SUBJECT)
    json = accepted.write(payload, beside={PARENT_SUBJECT: parent}, path="continue_as_new")
    if isinstance(json, Issues):
        raise Violated(ContractViolation(f"{handler.source} cannot begin with this", json))
    data = accepted.read(json)
    assert not isinstance(data, Issues)
    raw = frozen_json(json)
    assert isinstance(raw, FrozenDict)
    progress.again(raw if accepted.type is None else data, raw)


def _advanced(progress: Progress, moment: TurnInput) -> TurnOutcome:
    """Say what the turn comes to; raises `Violated` where the flow does."""
    commands: list[Command] = [command for _, command in progress.commands]
    outcome = progress.track.outcome
    match outcome:
        case None | Again():
            pass
        case Returned(value=value):
            commands.append(value if isinstance(value, Complete) else Complete(value))
        case Raised(error=Violated() as violated):
            raise violated
        case Raised(error=Failing(reason=reason, name=name)):
            commands.append(Fail(reason, name=name))
        case Raised(error=error):
            commands.append(Fail.of(error, stack=moment.stack))
        case Stopped() if not isinstance(moment.event.data, Cancellation):
            commands.append(Fail("the flow raised Cancelled, and nobody had cancelled it"))
        case Stopped():
            pass
    if outcome is not None and progress.signals:
        commands.append(Log("info", f"the flow ended with {len(progress.signals)} signals unread"))
    fresh = progress.fresh or progress.kept is not progress.journal
    return TurnOutcome(
        commands=tuple(commands),
        state=progress.told_state(),
        journal=(*progress.kept, *progress.fresh) if fresh else None,
        abandoned=tuple(progress.abandoned),
        anew=progress.kept is not progress.journal,
    )
