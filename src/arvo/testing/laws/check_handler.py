"""Check handler: search the events of a contract for one on which its handler breaks a law."""

import warnings
from collections.abc import Collection, Sequence
from typing import Any, Final, final

import hypothesis
from attrs import frozen
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.core.events.event import Event
from arvo.core.payloads.payload import Payload
from arvo.core.violations.violation import Violation
from arvo.engine.system.system import System
from arvo.handlers.effect import EffectTable
from arvo.handlers.event_handler import EventHandler
from arvo.testing.laws.effect_stubs import EffectSubstitutes, search_effects
from arvo.testing.laws.handler_laws import LAWS, NOW, HandlerUnderTest
from arvo.testing.laws.processes.other_processes import (
    Disagreement,
    find_disagreement,
    start_processes,
)
from arvo.testing.laws.processes.replay import ReplayedStep
from arvo.testing.laws.report import CheckReport, NotChecked, PartlyChecked
from arvo.testing.laws.search import BUDGET, SearchResult, search
from arvo.testing.laws.violation import LawViolated, LawViolation
from arvo.testing.schemas.diagnosis import rare_parts, undrawable_parts
from arvo.testing.strategies.strategies import accepted_events

_OTHER_PROCESS: Final = "another process"


def check_handler(
    handler: EventHandler[Any],
    *,
    events: SearchStrategy[Event[Any]] | None = None,
    effects: EffectSubstitutes | None = None,
    may_raise: Collection[type[Exception]] = (),
    may_violate: Collection[type[Violation]] = (),
    settings: hypothesis.settings = BUDGET,
) -> CheckReport:
    """Search for an event on which *handler* breaks a law, and return how much was tried.

    Raises `LawViolated` with the smallest event found. The laws: the handler is deterministic, also
    in a process with another hash seed, leaves its input unchanged, is total over its contract,
    emits only the events of its contract, and its events survive a JSON round trip.

    Raises `NotChecked` if too few events of a version can be drawn, with the field and its
    keywords, or if the handler handles none of them.

    *events*: the events to try, by default all that each version of the contract accepts.
    *effects*: for a function that the handler passes to `call`, a function that runs instead, or a
    strategy for its result; by default any value of its return annotation. *may_raise*: exceptions
    that the handler may raise. *may_violate*: violations that are intended. *settings*: settings of
    Hypothesis.
    """
    __tracebackhide__ = True
    subject = HandlerUnderTest(
        handler, System([handler], stacks=True), frozenset(may_raise), frozenset(may_violate)
    )
    versions = handler.contract.versions.values()
    sources: dict[Payload[Any] | None, SearchStrategy[Event[Any]]] = {}
    if events is not None:
        sources[None] = events
    for version in versions if events is None else ():
        _require_drawable(subject, version.accepted)
        sources[version.accepted] = accepted_events(version)
    start_processes()
    reports = []
    for payload, values in sources.items():
        reports.append(_HandlerCheck(subject, payload, values, settings, effects).run())
    return _sum(reports)


def _require_drawable(subject: HandlerUnderTest, payload: Payload[Any]) -> None:
    lines = undrawable_parts(payload)
    if lines:
        raise _not_drawn(subject, payload, "no events can be drawn for its contract", lines)


def _not_drawn(
    subject: HandlerUnderTest, payload: Payload[Any] | None, problem: str, lines: Sequence[str]
) -> NotChecked:
    remedy = 'pass events=events(contract["1.0.0"], field=a strategy for the field)'
    if payload is None:
        remedy = "pass other *events*: a strategy without filters that refuse almost all values"
    return NotChecked(subject.name, problem, lines, remedy)


@final
@frozen
class _HandlerCheck:
    """The check of a handler on the events of one payload, or on those of the caller."""

    subject: HandlerUnderTest
    payload: Payload[Any] | None
    events: SearchStrategy[Event[Any]]
    settings: hypothesis.settings
    effects: EffectSubstitutes | None

    def run(self) -> CheckReport:
        """Check the laws; raises `LawViolated` or `NotChecked`."""
        self.subject.outcomes.clear()
        result = search_effects(self.effects, self._search)
        if result.violation is not None:
            raise LawViolated(self.subject.name, result.violation)
        tried, outcomes = len(result.examples), self.subject.outcomes
        if result.is_short(self.settings):
            problem = f"{tried} events could be drawn, in {result.draws.attempts} attempts"
            lines = () if self.payload is None else rare_parts(self.payload)
            raise _not_drawn(self.subject, self.payload, problem, lines)
        if not outcomes["handled"]:
            raise NotChecked(
                self.subject.name,
                f"it handles none of {tried} events",
                (f"{number} times: it {outcome}" for outcome, number in outcomes.items()),
                "pass other *events*, or remove the exception from may_raise or may_violate",
            )
        unchecked = self._check_other_processes(result)
        laws = {law.__name__.strip("_"): tried for law in LAWS}
        return CheckReport(
            tried=tried,
            discarded=result.draws.discarded,
            handled=outcomes["handled"],
            laws={**laws, _OTHER_PROCESS: 0 if unchecked else tried},
            unchecked=unchecked,
        )

    def _search(
        self, tables: SearchStrategy[EffectTable]
    ) -> SearchResult[tuple[Event[Any], EffectTable]]:
        laws = [lambda example, law=law: law(self.subject, *example) for law in LAWS]
        return search(st.tuples(self.events, tables), laws, self.settings)

    def _check_other_processes(
        self, result: SearchResult[tuple[Event[Any], EffectTable]]
    ) -> tuple[str, ...]:
        """Raise `LawViolated` if another process has other results, or return why none can run."""
        # The simplest first, as nothing shrinks them.
        examples = sorted(result.examples, key=lambda example: len(repr(example[0].raw)))
        steps = [ReplayedStep(event.to_json(), None, NOW, table) for event, table in examples]
        found = find_disagreement(self.subject.system, steps)
        if isinstance(found, Disagreement):
            event = examples[found.position][0]
            raise LawViolated(self.subject.name, _other_result(self.subject, event, found))
        if found is None:
            return ()
        reason = f"the results in {_OTHER_PROCESS}: {found}"
        warnings.warn(f"{self.subject.name}: not checked: {reason}", PartlyChecked, stacklevel=4)
        return (reason,)


def _other_result(
    subject: HandlerUnderTest, event: Event[Any], found: Disagreement
) -> LawViolation:
    return LawViolation(
        law="a handler is deterministic",
        problem="in a process with another hash seed it has another result for the same event",
        trace=subject.trace(event, f"here {found.here}", f"there {found.there}"),
        remedy="sort the items of a set where their order matters; use neither hash() nor id()",
    )


def _sum(reports: Sequence[CheckReport]) -> CheckReport:
    names = dict.fromkeys(name for report in reports for name in report.laws)
    laws = {name: sum(report.laws[name] for report in reports) for name in names}
    return CheckReport(
        tried=sum(report.tried for report in reports),
        discarded=sum(report.discarded for report in reports),
        handled=sum(report.handled for report in reports),
        laws=laws,
        unchecked=tuple(reason for report in reports for reason in report.unchecked),
    )
