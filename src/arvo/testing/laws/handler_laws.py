"""Handler laws: each law as a function from a handler, an event and effects to its violation."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, TypeAlias, final

from attrs import evolve, field, frozen

from arvo.core.command import Fail
from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.protocol import SystemFault
from arvo.core.violations.issue import Issues
from arvo.core.violations.violation import Violation
from arvo.engine.step.admit import Admitted, admit_event
from arvo.engine.step.decide import decide_plain
from arvo.engine.system.system import System
from arvo.handlers.effect import EffectTable
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.invoke import invoke
from arvo.testing.given.code import align, to_code
from arvo.testing.given.commands_of import (
    commands_of,
    is_explicit_violation,
    run_turn,
)
from arvo.testing.laws.effect_stubs import EffectFailed
from arvo.testing.laws.violation import LawViolation
from arvo.testing.strategies.strategies import TIME

NOW: Final = datetime.fromisoformat(TIME)
# Runs of each example: over all examples, enough to detect almost every use of randomness.
RUNS: Final = 3


@final
@frozen
class HandlerUnderTest:
    """The handler to check, and the exceptions and violations that it may cause.

    *outcomes* counts how it ends: "handled", or an exception or violation that it may cause.
    """

    handler: EventHandler[Any]
    system: System
    may_raise: frozenset[type[Exception]]
    may_violate: frozenset[type[Violation]]
    outcomes: Counter[str] = field(factory=Counter, eq=False)

    @property
    def name(self) -> str:
        """The name of the handler in messages."""
        return f"the handler of {self.handler.contract.uri}"

    def step(self, event: Event[Any], effects: EffectTable) -> Commit | Violation:
        return decide_plain(self.system, event, None, now=NOW, effects=effects)

    def trace(self, event: Event[Any], *more: str) -> tuple[str, ...]:
        return (f"the handler receives {to_code(event.data)}", *more)


_Law: TypeAlias = Callable[[HandlerUnderTest, Event[Any], EffectTable], LawViolation | None]


def _total(
    subject: HandlerUnderTest, event: Event[Any], effects: EffectTable
) -> LawViolation | None:
    law = "a handler is total over its contract"
    result = subject.step(event, effects)
    if not isinstance(result, Commit):
        is_allowed = isinstance(result, tuple(subject.may_violate))
        subject.outcomes[f"violates: {type(result).__name__}"] += 1
        if is_allowed or _breaks_contract(subject, event, effects):
            return None
        name = type(result).__name__
        return LawViolation(
            law=law,
            problem="it violates on an event that its contract accepts",
            trace=subject.trace(event, f"{name}: {result}"),
            remedy="return an Emit or a Fail, narrow what the contract accepts, or pass "
            f"may_violate=[{name}] if an operator must act",
        )
    exceptions = [fault for event in result.events if (fault := _exception_of(event)) is not None]
    names = {exception.__name__ for exception in subject.may_raise} | {EffectFailed.__name__}
    subject.outcomes[f"raises {exceptions[0].name}" if exceptions else "handled"] += 1
    fault = next((fault for fault in exceptions if fault.name not in names), None)
    if fault is None:
        return None
    return LawViolation(
        law=law,
        problem="it raises an exception on an event that its contract accepts",
        trace=subject.trace(event, f"{fault.name}: {fault.message}"),
        remedy="return an Emit or a Fail, narrow what the contract accepts, or pass "
        f"may_raise=[{fault.name}] if it is intended",
    )


def _exception_of(event: Event[Any]) -> SystemFault | None:
    # A fault has a stack only if the handler raised an exception.
    return event.data if isinstance(event.data, SystemFault) and event.data.stack else None


def _breaks_contract(subject: HandlerUnderTest, event: Event[Any], effects: EffectTable) -> bool:
    """Return True if the handler's commands are invalid, and it does not violate by itself."""
    commands = commands_of(subject.handler, event, None, now=NOW, effects=effects)
    return not is_explicit_violation(commands)


def _emits(
    subject: HandlerUnderTest, event: Event[Any], effects: EffectTable
) -> LawViolation | None:
    result = subject.step(event, effects)
    if isinstance(result, Commit) or not _breaks_contract(subject, event, effects):
        return None
    commands = commands_of(subject.handler, event, None, now=NOW, effects=effects)
    shown = map(to_code, commands) if isinstance(commands, tuple) else ()
    return LawViolation(
        law="a handler emits only the events of its contract",
        problem=str(result),
        trace=subject.trace(event, *(f"it returns {command}" for command in shown)),
        remedy="add the event to the contract's emits, or emit an event that is there",
    )


def _deterministic(
    subject: HandlerUnderTest, event: Event[Any], effects: EffectTable
) -> LawViolation | None:
    first, *others = [
        commands_of(subject.handler, event, None, now=NOW, effects=effects) for _ in range(RUNS)
    ]
    for other in others:
        if _comparable(first) != _comparable(other):
            results = (f"it returns {_describe(result)}" for result in (first, other))
            return LawViolation(
                law="a handler is deterministic",
                problem="it returns different commands for the same event",
                trace=subject.trace(event, *results),
                remedy="use no clock, randomness or I/O: read event.time, and use "
                "`yield from call(...)` for everything else; keep no state between events",
            )
    return None


def _unchanged(
    subject: HandlerUnderTest, event: Event[Any], effects: EffectTable
) -> LawViolation | None:
    admitted = admit_event(subject.handler, event)
    if not isinstance(admitted, Admitted):
        return None
    payload = admitted.contract.accepted
    before = payload.write(admitted.event.data)
    shown = to_code(admitted.event.data)
    function = subject.handler.functions[admitted.contract.version]
    run_turn(lambda performed: invoke(function, admitted.event, performed, stack=False), effects)
    after = payload.write(admitted.event.data)
    if before == after:
        return None
    return LawViolation(
        law="a handler leaves its input unchanged",
        problem="it modifies the payload of the event",
        trace=(
            f"the handler receives {shown}",
            f"afterwards the payload is {to_code(admitted.event.data)}",
        ),
        remedy="make a new value (attrs.evolve, [*items, item]), and use tuples in payloads",
    )


def _through_json(
    subject: HandlerUnderTest, event: Event[Any], effects: EffectTable
) -> LawViolation | None:
    direct = subject.step(event, effects)
    parsed = subject.step(Event.parse(event.to_json()), effects)
    law = "a handler's events survive a JSON round trip"
    remedy = (
        "use the exact types that the payload classes declare: a tuple for a tuple, "
        "times with an offset"
    )
    if _comparable(direct) != _comparable(parsed):
        diff = align([direct], [parsed]).splitlines()
        return LawViolation(
            law=law,
            problem="it handles the same event differently after a JSON round trip",
            trace=subject.trace(event, *diff),
            remedy=remedy,
        )
    for sent in direct.events if isinstance(direct, Commit) else ():
        for problem in _json_problems(subject, sent):
            trace = subject.trace(event, f"it emits {to_code(sent.data)}", problem)
            return LawViolation(
                law=law,
                problem="a receiver gets another payload than it emits",
                trace=trace,
                remedy=remedy,
            )
    return None


def _json_problems(subject: HandlerUnderTest, sent: Event[Any]) -> Iterator[str]:
    for version in subject.handler.contract.versions.values():
        payload = version.emitted.get(sent.type)
        if payload is None or type(sent.data) not in payload.instance_types:
            continue
        read = payload.read(Event.parse(sent.to_json()).raw)
        if isinstance(read, Issues):
            yield f"a receiver refuses it: {read}"
        elif read != sent.data:
            yield f"a receiver reads {to_code(read)}"


def _comparable(result: object) -> object:
    """Return *result* without stack traces, which contain memory addresses."""
    match result:
        case Commit(events=events):
            return tuple({**event.to_dict(), "data": _without_stack(event)} for event in events)
        case tuple():
            return _describe(result)
        case _:
            return str(result)


def _without_stack(event: Event[Any]) -> object:
    return {key: value for key, value in event.raw.items() if key != "errorStack"}


def _describe(result: object) -> str:
    if isinstance(result, tuple):
        commands = (
            evolve(command, stack=None) if isinstance(command, Fail) else command
            for command in result
        )
        return ", ".join(map(to_code, commands)) or "nothing"
    return f"{type(result).__name__}: {result}"


# The most certain law comes first: a handler that uses randomness breaks the others as well.
LAWS: Final[tuple[_Law, ...]] = (_deterministic, _unchanged, _total, _emits, _through_json)
