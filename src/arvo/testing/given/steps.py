"""Steps: a table of cases, each a sequence of steps, as one parametrised pytest test."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import signature
from typing import Any, Final, TypeAlias, final

from attrs import define, field, frozen

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.violation import Violated, Violation
from arvo.engine.step.decide import decide_plain
from arvo.engine.system.handler import Handler
from arvo.engine.system.system import System
from arvo.handlers.effect import EffectTable
from arvo.testing.given.code import align, format_block, to_code
from arvo.testing.given.turn import NOW

# A repeated case reports its first failures in full and counts the others.
FAILURES_REPORTED_MAX: Final = 10

Events: TypeAlias = tuple[Event[Any], ...]
# A table runs on a handler, on a system, or on any function from an event to events.
Target: TypeAlias = System | Handler | Callable[[Event[Any]], Sequence[Event[Any]]]


@final
@frozen
class Step:
    """One event, and the expected result.

    *input*: an event, or a function that returns one. The function takes the events of the step
    before, and the number of the iteration (from 1) if it has a second parameter.
    *events*: the expected payloads in order, or a predicate on the events.
    *error*: the expected class of violation, or a predicate on the violation or exception.
    Without *events* and *error*, every result but an error passes.
    """

    input: Event[Any] | Callable[..., Event[Any]]
    events: Sequence[object] | Callable[[Events], bool] | None = None
    error: type[Any] | Callable[[Any], bool] | None = None


@final
@frozen
class Repeat:
    """Run a case this many *times*; at least *threshold* percent of the runs must succeed.

    Raises ValueError if no run is needed for that.
    """

    times: int
    threshold: float = 100

    def __attrs_post_init__(self) -> None:
        if self.times < 1:
            raise ValueError(f"times: expected at least 1, got {self.times}")
        if not 0 < self.threshold <= 100:
            raise ValueError(
                f"threshold: expected more than 0 and at most 100, got {self.threshold}"
            )


@final
@frozen
class Case:
    """Steps that depend on each other; the first one that fails ends the case.

    *repeat* is for handlers that are not deterministic, such as those that call a language model.
    Raises ValueError if there are no steps, as such a case tests nothing.
    """

    name: str
    steps: Sequence[Step]
    repeat: Repeat = field(default=Repeat(1), kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not self.steps:
            raise ValueError(f"steps: expected at least one step in the case {self.name!r}")


def steps(
    target: Target | Mapping[str, Target],
    cases: Sequence[Case],
    *,
    effects: EffectTable | None = None,
) -> Callable[..., None]:
    """Return a pytest test with one parameter for each case.

    *target*: a handler, a system, a function from an event to events, or a mapping of names to
    several of these; then each case runs on each. Workflows keep their records between the steps of
    a case, not between cases. *effects* maps the functions that handlers pass to `call` to
    functions that run instead.

    Raises ValueError without cases or targets, for which pytest would run nothing.

    ``test_payments = steps(payments, [Case("small sums are charged", [Step(...)])])``
    """
    # Not at the top: the rest of this package does not need pytest.
    import pytest

    named = target if isinstance(target, Mapping) else {"": target}
    for name, values in (("cases", cases), ("target", named)):
        if not values:
            raise ValueError(f"{name}: expected at least one, got none: the test would not run")
    table = [
        pytest.param(one, case, id=f"{name}: {case.name}" if name else case.name)
        for name, one in named.items()
        for case in cases
    ]

    @pytest.mark.parametrize(("target", "case"), table)
    def test(target: Target, case: Case) -> None:
        __tracebackhide__ = True
        check_case(target, case, effects=effects)

    return test


def check_case(target: Target, case: Case, *, effects: EffectTable | None = None) -> None:
    """Run one case with its repetitions; raises AssertionError with the steps that failed."""
    __tracebackhide__ = True
    failures: list[str] = []
    for iteration in range(1, case.repeat.times + 1):
        problem = next(_problems(_Runner.of(target, effects or {}), case, iteration), None)
        if problem is not None:
            failures.append(
                problem if case.repeat.times == 1 else f"iteration {iteration}, {problem}"
            )
    succeeded = case.repeat.times - len(failures)
    if succeeded * 100 >= case.repeat.threshold * case.repeat.times:
        return
    heading = f"case {case.name!r}"
    if case.repeat.times > 1:
        rate = f"{succeeded} of {case.repeat.times} iterations succeeded"
        heading = f"{heading}: {rate}, expected at least {case.repeat.threshold:g} %"
    lines = failures[:FAILURES_REPORTED_MAX]
    if len(failures) > len(lines):
        lines.append(f"… {len(failures) - len(lines)} more")
    raise AssertionError(format_block(heading, "\n".join(lines)))


def _problems(runner: "_Runner", case: Case, iteration: int) -> Iterator[str]:
    """Run the steps in order, and yield the problem of each step that fails."""
    before: Events = ()
    for number, step in enumerate(case.steps, 1):
        event = _make_input(step, before, iteration)
        place = f"step {number} of {len(case.steps)}, {to_code(event.data)}"
        try:
            before = tuple(runner(event))
        except Exception as error:  # noqa: BLE001 - a step may expect any exception
            problem = _check_error(step, error)
            before = ()
        else:
            problem = _check_events(step, before)
        if problem is not None:
            yield f"{place}: {problem}"


def _make_input(step: Step, before: Events, iteration: int) -> Event[Any]:
    if isinstance(step.input, Event):
        return step.input
    parameters = len(signature(step.input).parameters)
    return step.input(before, iteration) if parameters > 1 else step.input(before)


def _check_error(step: Step, error: Exception) -> str | None:
    actual: Any = error.violation if isinstance(error, Violated) else error
    shown = f"{type(actual).__name__}: {actual}"
    if step.error is None:
        return shown
    matches = isinstance(actual, step.error) if isinstance(step.error, type) else step.error(actual)
    return None if matches else f"expected another error, got {shown}"


def _check_events(step: Step, events: Events) -> str | None:
    payloads = [event.data for event in events]
    if step.error is not None:
        return f"expected an error, got {to_code(payloads)}"
    if step.events is None:
        return None
    if callable(step.events):
        return None if step.events(events) else f"the predicate rejects {to_code(payloads)}"
    if list(step.events) == payloads:
        return None
    return f"the events differ:\n{align(step.events, payloads)}"


@final
@define
class _Runner:
    """Runs the steps of one case, and keeps the workflow records between them."""

    system: System | Callable[[Event[Any]], Sequence[Event[Any]]]
    effects: EffectTable
    records: dict[str, Record] = field(factory=dict)

    @classmethod
    def of(cls, target: Target, effects: EffectTable) -> "_Runner":
        """Return a runner of *target*; a handler becomes a system of its own."""
        if isinstance(target, System) or callable(target):
            return cls(target, effects)
        return cls(System([target]), effects)

    def __call__(self, event: Event[Any]) -> Sequence[Event[Any]]:
        """Return the events that *event* leads to; raises `Violated`."""
        if not isinstance(self.system, System):
            return self.system(event)
        before = self.records.get(event.subject)
        result: Commit | Violation = decide_plain(
            self.system, event, before, now=NOW, effects=self.effects
        )
        if not isinstance(result, Commit):
            raise Violated(result)
        if result.record is not None:
            self.records[result.record.subject] = result.record
        return result.events
