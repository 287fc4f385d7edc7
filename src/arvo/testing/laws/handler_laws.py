"""Handlers: the laws that every handler of single events should keep."""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import Any, Final, TypeAlias, final

from attrs import evolve, frozen
from hypothesis import settings as budgets
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.core.command import Fail
from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.events.fault import SystemFault
from arvo.core.violations.issue import Issues
from arvo.core.violations.violation import Violation
from arvo.engine.step.admit import Admitted, admit_event
from arvo.engine.step.decide import settle
from arvo.engine.system.system import System
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.invoke import reply
from arvo.testing.given.code import aligned, code
from arvo.testing.given.commands_of import Effects, answered, is_own, wanted
from arvo.testing.laws.effect_stubs import EffectFailed, Substitutes, searched
from arvo.testing.laws.laws import BUDGET, LawViolated, LawViolation, search
from arvo.testing.strategies.strategies import TIME
from arvo.testing.strategies.strategies import events as events_of

NOW: Final = datetime.fromisoformat(TIME)
# A handler that tosses a coin shows it in so many runs, over all examples almost surely.
RUNS: Final = 3


def check_handler(
    handler: EventHandler[Any],
    *,
    events: SearchStrategy[Event[Any]] | None = None,
    effects: Substitutes | None = None,
    may_raise: Collection[type[Exception]] = (),
    may_violate: Collection[type[Violation]] = (),
    settings: budgets = BUDGET,
) -> None:
    """Search for an event that makes *handler* break a law; raises `LawViolated` that shows it.

    The laws: it is total over its contract, emits only what the contract names, is deterministic,
    leaves its input unchanged, and its events survive a trip through JSON. *events*: which are
    tried, by default all that the contract accepts. *effects*: what answers a `call`, a function or
    a strategy of what it returns; by default whatever the called function says that it returns.
    *may_raise*: exceptions that escape on purpose; *may_violate*: violations that are meant.
    """
    __tracebackhide__ = True
    drawn = events_of(handler.contract) if events is None else events
    subject = _Subject(
        handler, System([handler], stacks=True), frozenset(may_raise), frozenset(may_violate)
    )

    def find(tables: SearchStrategy[Effects]) -> LawViolation | None:
        laws = [lambda example, law=law: law(subject, *example) for law in LAWS]
        return search(st.tuples(drawn, tables), laws, settings)

    broken = searched(effects, find)
    if broken is not None:
        raise LawViolated(f"the handler of {handler.contract.uri}", broken)


@final
@frozen
class _Subject:
    """The handler that is searched, and what it is allowed."""

    handler: EventHandler[Any]
    system: System
    may_raise: frozenset[type[Exception]]
    may_violate: frozenset[type[Violation]]

    def settled(self, event: Event[Any], effects: Effects) -> Commit | Violation:
        return settle(self.system, event, None, now=NOW, effects=effects)

    def story(self, event: Event[Any], *more: str) -> tuple[str, ...]:
        return (f"{code(event.data)} comes", *more)


_Law: TypeAlias = Callable[[_Subject, Event[Any], Effects], LawViolation | None]


def _total(subject: _Subject, event: Event[Any], effects: Effects) -> LawViolation | None:
    settled = subject.settled(event, effects)
    if not isinstance(settled, Commit):
        if isinstance(settled, tuple(subject.may_violate)) or _unnamed(subject, event, effects):
            return None
        return LawViolation(
            law="a handler is total over its contract",
            problem="it violates on an event that its contract accepts",
            story=subject.story(event, f"{type(settled).__name__}: {settled}"),
            remedy="answer it by an Emit or a Fail, narrow what the contract accepts, or say "
            f"may_violate=[{type(settled).__name__}] if the operator is to be called",
        )
    escaped = _escaped(subject, settled)
    if escaped is None:
        return None
    return LawViolation(
        law="a handler is total over its contract",
        problem="an exception escapes on an event that its contract accepts",
        story=subject.story(event, f"{escaped.name}: {escaped.message}"),
        remedy="answer it by an Emit or a Fail, narrow what the contract accepts, or say "
        f"may_raise=[{escaped.name}] if it is meant",
    )


def _escaped(subject: _Subject, commit: Commit) -> SystemFault | None:
    allowed = {EffectFailed.__name__, *(each.__name__ for each in subject.may_raise)}
    for event in commit.events:
        fault = event.data
        # Only what escaped has a stack.
        if isinstance(fault, SystemFault) and fault.stack and fault.name not in allowed:
            return fault
    return None


def _unnamed(subject: _Subject, event: Event[Any], effects: Effects) -> bool:
    """Tell whether it is what it wants that cannot be, and no violation of its own."""
    return not is_own(wanted(subject.handler, event, None, now=NOW, effects=effects))


def _emits(subject: _Subject, event: Event[Any], effects: Effects) -> LawViolation | None:
    settled = subject.settled(event, effects)
    if isinstance(settled, Commit) or not _unnamed(subject, event, effects):
        return None
    found = wanted(subject.handler, event, None, now=NOW, effects=effects)
    said = map(code, found) if isinstance(found, tuple) else ()
    return LawViolation(
        law="a handler emits only what its contract names",
        problem=str(settled),
        story=subject.story(event, *(f"it wants {each}" for each in said)),
        remedy="add the event to the contract's emits, or emit what is there",
    )


def _deterministic(subject: _Subject, event: Event[Any], effects: Effects) -> LawViolation | None:
    first, *others = [
        wanted(subject.handler, event, None, now=NOW, effects=effects) for _ in range(RUNS)
    ]
    for other in others:
        if _plain(first) != _plain(other):
            return LawViolation(
                law="a handler is deterministic",
                problem="it answers the same event differently each time",
                story=subject.story(event, f"it wants {_said(first)}", f"it wants {_said(other)}"),
                remedy="take clock, chance and I/O out of it: event.time says when, "
                "`yield from call(...)` asks for the rest; and keep nothing between events",
            )
    return None


def _unchanged(subject: _Subject, event: Event[Any], effects: Effects) -> LawViolation | None:
    admitted = admit_event(subject.handler, event)
    if not isinstance(admitted, Admitted):
        return None
    payload = admitted.contract.accepted
    before = payload.write(admitted.event.data)
    shown = code(admitted.event.data)
    function = subject.handler.functions[admitted.contract.version]
    answered(lambda performed: reply(function, admitted.event, performed, stack=False), effects)
    after = payload.write(admitted.event.data)
    if before == after:
        return None
    return LawViolation(
        law="a handler leaves its input unchanged",
        problem="it changes the payload that it was given",
        story=(
            f"{shown} comes",
            f"afterwards the payload is {code(admitted.event.data)}",
        ),
        remedy="make a new value (attrs.evolve, [*items, item]), and hold tuples in payloads",
    )


def _through_json(subject: _Subject, event: Event[Any], effects: Effects) -> LawViolation | None:
    direct = subject.settled(event, effects)
    parsed = subject.settled(Event.parse(event.to_json()), effects)
    law = "a handler's events survive a trip through JSON"
    remedy = (
        "put into payloads what their classes say: a tuple where a tuple is declared, "
        "values of the exact types, times with an offset"
    )
    if _plain(direct) != _plain(parsed):
        said = aligned([direct], [parsed]).splitlines()
        return LawViolation(
            law=law,
            problem="it answers an event off the wire differently",
            story=subject.story(event, *said),
            remedy=remedy,
        )
    for sent in direct.events if isinstance(direct, Commit) else ():
        for problem in _spoiled(subject, sent):
            story = subject.story(event, f"it emits {code(sent.data)}", problem)
            return LawViolation(
                law=law, problem="what it emits comes out as another", story=story, remedy=remedy
            )
    return None


def _spoiled(subject: _Subject, sent: Event[Any]) -> Iterator[str]:
    for version in subject.handler.contract.versions.values():
        payload = version.emitted.get(sent.type)
        if payload is None or payload.type is not type(sent.data):
            continue
        read = payload.read(Event.parse(sent.to_json()).raw)
        if isinstance(read, Issues):
            yield f"whoever receives it refuses it: {read}"
        elif read != sent.data:
            yield f"whoever receives it reads {code(read)}"


def _plain(found: object) -> object:
    """Leave out what a stack says: it holds addresses of memory."""
    match found:
        case Commit(events=events):
            return tuple({**each.to_dict(), "data": _unstacked(each)} for each in events)
        case tuple():
            return _said(found)
        case _:
            return str(found)


def _unstacked(event: Event[Any]) -> object:
    return {key: value for key, value in event.raw.items() if key != "errorStack"}


def _said(found: object) -> str:
    if isinstance(found, tuple):
        plain = (evolve(each, stack=None) if isinstance(each, Fail) else each for each in found)
        return ", ".join(map(code, plain)) or "nothing"
    return f"{type(found).__name__}: {found}"


# What is least in doubt comes first: who tosses coins breaks other laws as well.
LAWS: Final[tuple[_Law, ...]] = (_deterministic, _unchanged, _total, _emits, _through_json)
