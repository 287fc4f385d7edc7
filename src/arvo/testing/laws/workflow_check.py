"""Workflow check: checks the laws of a workflow on drawn scenarios, and that they have cases."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, final

import hypothesis
from attrs import frozen
from hypothesis.strategies import SearchStrategy

from arvo.core.payloads.payload import Payload
from arvo.handlers.effect import EffectTable
from arvo.testing.laws.effect_stubs import EffectSubstitutes, search_effects
from arvo.testing.laws.environment import Environment
from arvo.testing.laws.processes.other_processes import STEPS_MAX, Disagreement, find_disagreement
from arvo.testing.laws.processes.replay import ReplayedStep
from arvo.testing.laws.report import CheckReport, NotChecked, PartlyChecked
from arvo.testing.laws.scenario import Scenario
from arvo.testing.laws.search import SearchResult, search
from arvo.testing.laws.violation import LawViolated, LawViolation
from arvo.testing.laws.workflow_laws import WorkflowLaws
from arvo.testing.schemas.diagnosis import rare_parts, undrawable_parts

_CASES: Final[Mapping[str, str]] = {
    "redelivery": "no run takes a step",
    "total": "no run takes a step",
    "rest": "no event starts the workflow",
    "race": "no two events may ever come next at once",
    "order": "no two replies are ever pending at once",
    "cancellation": "no run is active after its first step",
    "migration": "pass migrate_to, and a workflow that is active after its first step",
}


@final
@frozen(kw_only=True)
class WorkflowCheck:
    """One call of `check_workflow`.

    *names* are the laws to check; those that are *required* must have a case. *payloads* are what a
    scenario draws, by what they are for.
    """

    laws: WorkflowLaws
    names: tuple[str, ...]
    required: frozenset[str]
    scenarios: Callable[[SearchStrategy[EffectTable]], SearchStrategy[Scenario]]
    payloads: Mapping[str, Payload[Any]]
    effects: EffectSubstitutes | None
    settings: hypothesis.settings

    def run(self) -> CheckReport:
        """Check the laws; raises `LawViolated` or `NotChecked`."""
        lines = list(self._explain(undrawable_parts))
        if lines:
            raise self._not_checked("no scenario can be drawn", lines)
        result = search_effects(self.effects, self._search)
        if result.violation is not None:
            raise LawViolated(self._name, result.violation)
        if result.is_short(self.settings):
            tried, attempts = len(result.examples), result.draws.attempts
            problem = f"{tried} scenarios could be drawn, in {attempts} attempts"
            raise self._not_checked(problem, list(self._explain(rare_parts)))
        self._require_cases(len(result.examples))
        unchecked = self._check_other_processes(result) if "redelivery" in self.names else ()
        without = tuple(
            f"{name}: {_CASES[name]}" for name in self.names if not self.laws.cases[name]
        )
        return CheckReport(
            tried=len(result.examples),
            discarded=result.draws.discarded,
            handled=self.laws.outcomes["handled"],
            laws={name: self.laws.cases[name] for name in self.names},
            unchecked=(*without, *unchecked),
        )

    @property
    def _name(self) -> str:
        return f"the workflow of {self.laws.contract.dataschema}"

    def _search(self, tables: SearchStrategy[EffectTable]) -> SearchResult[Scenario]:
        checked = [getattr(self.laws, name) for name in self.names]
        return search(self.scenarios(tables), checked, self.settings)

    def _explain(self, parts: Callable[[Payload[Any]], tuple[str, ...]]) -> Iterator[str]:
        for purpose, payload in self.payloads.items():
            yield from (f"{purpose}: {line}" for line in parts(payload))

    def _not_checked(self, problem: str, lines: list[str]) -> NotChecked:
        return NotChecked(
            self._name,
            problem,
            lines,
            "pass events=events(contract, field=a strategy for the field) for the first event; of "
            "a reply or a signal change the schema, so that its values can be drawn",
        )

    def _require_cases(self, tried: int) -> None:
        """Raise `NotChecked` if the runs did nothing, or a law had nothing to check."""
        laws = self.laws
        if laws.outcomes and not laws.outcomes["handled"]:
            lines = [f"{number} times: {outcome}" for outcome, number in laws.outcomes.items()]
            remedy = "pass *events* that start the workflow, or remove a class from may_violate"
            problem = f"the workflow takes no step in {tried} runs"
            raise NotChecked(self._name, problem, lines, remedy)
        for name in self.names:
            if name in self.required and not laws.cases[name]:
                problem = f"the law `{name}` has no case in {tried} runs: {_CASES[name]}"
                raise NotChecked(self._name, problem, (), "remove it from *laws*")
        once = laws.checks.once if "race" in self.names else frozenset()
        for key in once - laws.sent:
            shown = key if isinstance(key, str) else key.__name__
            requests = sorted({sent for sent in laws.sent if isinstance(sent, str)})
            raise NotChecked(
                self._name,
                f"no run of {tried} requests {shown}, which *once* lists",
                (f"requested: {', '.join(requests) or 'nothing'}",),
                "correct *once*, or pass *events* for which it is requested",
            )

    def _check_other_processes(self, result: SearchResult[Scenario]) -> tuple[str, ...]:
        """Raise `LawViolated` if another process has other results, or return why none can run."""
        examples = sorted(result.examples, key=lambda example: len(repr(example)))
        steps = list(islice(self._steps(examples), STEPS_MAX))
        replayed = [step for step, _ in steps]
        found = find_disagreement(self.laws.system, replayed)
        if isinstance(found, Disagreement):
            raise LawViolated(self._name, _other_result(steps[found.position][1], found))
        if found is None:
            return ()
        reason = f"the results in another process: {found}"
        warnings.warn(f"{self._name}: not checked: {reason}", PartlyChecked, stacklevel=4)
        return (reason,)

    def _steps(self, examples: list[Scenario]) -> Iterator[tuple[ReplayedStep, tuple[str, ...]]]:
        """Yield the steps of each run, each with the trace up to it."""
        for scenario in examples:
            run = Environment.start(self.laws.system, scenario)
            run.deliver_all(scenario.moves)
            lines = run.format_trace()
            for number, entry in enumerate(run.trace, 1):
                event = entry.delivered.event.to_json()
                step = ReplayedStep(event, entry.before, entry.now, scenario.effects)
                yield step, lines[:number]


def _other_result(trace: tuple[str, ...], found: Disagreement) -> LawViolation:
    return LawViolation(
        law="a redelivered event changes nothing (redelivery)",
        problem="in a process with another hash seed the same event on the same record has another "
        "result",
        trace=(*trace, f"here {found.here}", f"there {found.there}"),
        remedy="sort the items of a set where their order matters; use neither hash() nor id()",
    )
