"""Steps: tables of chained steps as a pytest parametrisation (reference F176-F178)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import signature
from typing import Any, Final, TypeAlias, final

from attrs import define, field, frozen

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.violation import Violated, Violation
from arvo.engine.step.decide import settle
from arvo.engine.system.system import Handler, System
from arvo.testing.given.code import aligned, code, told
from arvo.testing.given.commands_of import Effects
from arvo.testing.given.turn import NOW

# Of more iterations that failed, the first say what is wrong (reference F178).
FAILURES_TOLD_MAX: Final = 10

Events: TypeAlias = tuple[Event[Any], ...]
# What the table is run on: handlers, or any function that answers an event with events.
Runs: TypeAlias = System | Handler | Callable[[Event[Any]], Sequence[Event[Any]]]


@final
@frozen
class Step:
    """One event, and what is expected of it.

    *input*: an event, or a function of the events that the step before led to (and of the number
    of the iteration, from 1, where it takes two arguments). *events*: payloads that are expected in
    this order, or a predicate on the events. *error*: a kind of violation, or a predicate on what
    was violated or raised. With neither, anything but an error will do.
    """

    input: Event[Any] | Callable[..., Event[Any]]
    events: Sequence[object] | Callable[[Events], bool] | None = None
    error: type[Any] | Callable[[Any], bool] | None = None


@final
@frozen
class Repeat:
    """Run a case so many *times*; at least *threshold* percent of them must succeed."""

    times: int
    threshold: float = 100


@final
@frozen
class Case:
    """Steps that follow from each other; the first that fails fails the case.

    *repeat*: for handlers that are not deterministic, such as those that ask a language model.
    """

    name: str
    steps: Sequence[Step]
    repeat: Repeat = field(default=Repeat(1), kw_only=True)


def steps(
    runs: Runs | Mapping[str, Runs],
    cases: Sequence[Case],
    *,
    effects: Effects | None = None,
) -> Callable[..., None]:
    """Make a pytest test of a table: one parameter for each case.

    *runs*: a handler, a system, a function from an event to events, or several of these by name;
    each case is then run on each. A workflow remembers from step to step, and nothing from one case
    to the next. *effects* answer what handlers ask for by `call`.

    ``test_payments = steps(payments, [Case("small sums are charged", [Step(...)])])``
    """
    # Not at the top: the rest of this room needs no pytest.
    import pytest

    named = runs if isinstance(runs, Mapping) else {"": runs}
    table = [
        pytest.param(each, case, id=f"{name}: {case.name}" if name else case.name)
        for name, each in named.items()
        for case in cases
    ]

    @pytest.mark.parametrize(("runs", "case"), table)
    def test(runs: Runs, case: Case) -> None:
        __tracebackhide__ = True
        check_case(runs, case, effects=effects)

    return test


def check_case(runs: Runs, case: Case, *, effects: Effects | None = None) -> None:
    """Run one case, as often as it says; an AssertionError tells which steps failed, and how."""
    __tracebackhide__ = True
    failures: list[str] = []
    for iteration in range(1, case.repeat.times + 1):
        problem = next(_problems(_Runner.of(runs, effects or {}), case, iteration), None)
        if problem is not None:
            failures.append(
                problem if case.repeat.times == 1 else f"iteration {iteration}, {problem}"
            )
    succeeded = case.repeat.times - len(failures)
    if succeeded * 100 >= case.repeat.threshold * case.repeat.times:
        return
    heading = f"case {case.name!r}"
    if case.repeat.times > 1:
        rate = f"{succeeded} of {case.repeat.times} succeeded"
        heading = f"{heading}: {rate}, and {case.repeat.threshold:g} % must"
    lines = failures[:FAILURES_TOLD_MAX]
    if len(failures) > len(lines):
        lines.append(f"… {len(failures) - len(lines)} more")
    raise AssertionError(told(heading, "\n".join(lines)))


def _problems(runner: "_Runner", case: Case, iteration: int) -> Iterator[str]:
    """Run the steps in turn, and say of each what is wrong with it."""
    before: Events = ()
    for number, step in enumerate(case.steps, 1):
        event = _input(step, before, iteration)
        where = f"step {number} of {len(case.steps)}, {code(event.data)}"
        try:
            before = tuple(runner(event))
        except Exception as error:  # noqa: BLE001 - what a table expects may be any error
            problem = _of_error(step, error)
            before = ()
        else:
            problem = _of_events(step, before)
        if problem is not None:
            yield f"{where}: {problem}"


def _input(step: Step, before: Events, iteration: int) -> Event[Any]:
    if isinstance(step.input, Event):
        return step.input
    takes = len(signature(step.input).parameters)
    return step.input(before, iteration) if takes > 1 else step.input(before)


def _of_error(step: Step, error: Exception) -> str | None:
    found: Any = error.violation if isinstance(error, Violated) else error
    if step.error is None:
        return f"{type(found).__name__}: {found}"
    fits = isinstance(found, step.error) if isinstance(step.error, type) else step.error(found)
    return None if fits else f"another error was expected: {type(found).__name__}: {found}"


def _of_events(step: Step, events: Events) -> str | None:
    payloads = [each.data for each in events]
    if step.error is not None:
        return f"an error was expected, and it emits {code(payloads)}"
    if step.events is None:
        return None
    if callable(step.events):
        return None if step.events(events) else f"not as expected: {code(payloads)}"
    if list(step.events) == payloads:
        return None
    return f"not as expected:\n{aligned(step.events, payloads)}"


@final
@define
class _Runner:
    """Takes the steps of one case: it remembers what workflows remember."""

    system: System | Callable[[Event[Any]], Sequence[Event[Any]]]
    effects: Effects
    records: dict[str, Record] = field(factory=dict)

    @classmethod
    def of(cls, runs: Runs, effects: Effects) -> "_Runner":
        """Take handlers as a system of their own."""
        return cls(runs if isinstance(runs, System) or callable(runs) else System([runs]), effects)

    def __call__(self, event: Event[Any]) -> Sequence[Event[Any]]:
        """Take one step; raises `Violated`."""
        if not isinstance(self.system, System):
            return self.system(event)
        before = self.records.get(event.subject)
        settled: Commit | Violation = settle(
            self.system, event, before, now=NOW, effects=self.effects
        )
        if not isinstance(settled, Commit):
            raise Violated(settled)
        if settled.record is not None:
            self.records[settled.record.subject] = settled.record
        return settled.events
