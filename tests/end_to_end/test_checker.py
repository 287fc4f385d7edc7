"""Checker: it reports each fault that is planted in a book, and none in a book without one."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from attrs import evolve

from tests.end_to_end.book import Kind, Line
from tests.end_to_end.causes import STAGES
from tests.end_to_end.checker import POISON_REASON, Fault, check
from tests.end_to_end.client import DeadEvent, Final
from tests.end_to_end.plan import Run
from tests.end_to_end.system import POISONED, SIGNALS, order

# A workflow that completes, one with a poison event, and one that is cancelled.
RUNS = (Run(0), Run(1, poison="exit in handler"), Run(2, cancel_after=2))
MARKS = [f"mark-{number}" for number in range(1, SIGNALS + 1)]
DEATH = 50.0


class Writer:
    """Writes the lines of a book, a tenth of a second apart."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.now = 0.0

    def write(self, kind: Kind, pid: int, run: int = -1, key: str = "", **fields: Any) -> None:
        """Write a line."""
        self.now += 0.1
        self.lines.append(Line(kind, pid, run, key, at=self.now, **fields))

    def call(self, run: int, key: str, pid: int = 1, detail: Any = None) -> str:
        """Write a whole call; returns its name."""
        call = f"{pid}-{len(self.lines)}"
        self.write("begin", pid, run, key, call=call, detail=detail)
        self.write("end", pid, run, key, call=call)
        return call


def completed(book: Writer, run: int) -> None:
    """Write the calls of a workflow that completes."""
    calls = {key: book.call(run, key) for key in STAGES if key not in ("refund", "outcome")}
    results = [call for key, call in calls.items() if key != "charge"]
    data = {"marks": [*range(1, SIGNALS + 1)], "receipt": calls["charge"], "results": results}
    detail = {"id": f"done-{run}", "type": f"{order.type}.done", "data": data}
    book.call(run, "outcome", detail=detail)


def good_book() -> list[Line]:
    """Return the book of all workflows, without a fault."""
    book = Writer()
    completed(book, 0)
    for pid in range(10, 15):
        book.write("poisoned", pid, 1, "poison-1")
        book.write("died", pid, detail=POISONED)
    completed(book, 1)
    for key in ("first", "left", "right", "charge", "mark-1", "mark-2", "refund"):
        book.call(2, key)
    data = {"errorName": "Cancelled", "errorMessage": "a test"}
    detail = {"id": "cancelled-2", "type": f"sys.{order.type}.error", "data": data}
    book.call(2, "outcome", detail=detail)
    return book.lines


FINAL = Final(
    statuses={0: "done", 1: "done", 2: "cancelled"},
    dead_letters=[DeadEvent("poison-1", 5, POISON_REASON)],
    consumed={0: ["a 1", "a 2"]},
)


def faults(lines: Sequence[Line], final: Final = FINAL, *, is_paired: bool = False) -> set[Fault]:
    """Return the kinds of fault that are found."""
    report = check(RUNS, lines, final, is_paired=is_paired)
    return {finding.fault for finding in report.findings}


def position(lines: Sequence[Line], kind: Kind, run: int, key: str) -> int:
    """Return where a line stands."""
    return next(
        at for at, each in enumerate(lines) if (each.kind, each.run, each.key) == (kind, run, key)
    )


def repeat(lines: list[Line], key: str, *, pid: int, behind: str) -> list[Line]:
    """Plant a second call of *key*, right behind the end of *behind*."""
    at = position(lines, "end", 0, behind)
    now = lines[at].at
    again = [Line(kind, pid, 0, key, call="again", at=now + 0.01) for kind in ("begin", "end")]
    return [*lines[: at + 1], *again, *lines[at + 1 :]]


def test_a_book_without_a_fault_has_no_finding() -> None:
    """Otherwise every test below would pass by itself."""
    report = check(RUNS, good_book(), FINAL)

    assert report.findings == []
    assert report.figures.workflows == len(RUNS)
    assert report.figures.poison_deaths == 5
    assert report.figures.repeated == {}


def without(kind_of_call: str, run: int) -> Callable[[list[Line]], list[Line]]:
    """Return a function that removes a call of a workflow."""
    return lambda lines: [each for each in lines if (each.run, each.key) != (run, kind_of_call)]


def doubled_outcome(lines: list[Line]) -> list[Line]:
    at = position(lines, "begin", 0, "outcome")
    other = evolve(lines[at], call="other", detail={**lines[at].detail, "id": "another"})
    return [*lines, other]


def swapped_signals(lines: list[Line]) -> list[Line]:
    names = {"mark-2": "mark-3", "mark-3": "mark-2"}
    return [evolve(each, key=names.get(each.key, each.key)) for each in lines]


def early_call(lines: list[Line]) -> list[Line]:
    at = position(lines, "begin", 0, "last")
    return [evolve(lines[at], at=0.0), *lines[:at], *lines[at + 1 :]]


def signal_after_cancellation(lines: list[Line]) -> list[Line]:
    at = position(lines, "begin", 2, "mark-2")
    late = evolve(lines[at], key="mark-3", call="late")
    return [*lines, late, evolve(late, kind="end")]


def call_after_the_outcome(lines: list[Line]) -> list[Line]:
    at = position(lines, "begin", 0, "first")
    return [*lines, evolve(lines[at], call="late", at=lines[-1].at + 1.0)]


@pytest.mark.parametrize(
    ("plant", "fault"),
    [
        (without("outcome", 0), "lost"),
        (without("refund", 2), "lost"),
        (without("mark-4", 0), "wrong"),
        (doubled_outcome, "doubled"),
        (swapped_signals, "out of order"),
        (early_call, "out of order"),
        (signal_after_cancellation, "out of order"),
        (call_after_the_outcome, "wrong"),
        (lambda lines: repeat(lines, "mark-1", pid=1, behind="mark-1"), "repeated"),
        (lambda lines: repeat(lines, "mark-1", pid=2, behind="mark-1"), "repeated"),
        (lambda lines: [each for each in lines if each.kind != "poisoned"], "worker"),
        (lambda lines: [*lines, Line("died", 99, detail=1)], "worker"),
        (lambda lines: [*lines, Line("stopped", 99, detail=-15)], "worker"),
        (lambda lines: [*lines, *[Line("poisoned", 99, 1, "poison-1")]], "dead letter"),
    ],
)
def test_a_fault_in_a_book_is_reported(
    plant: Callable[[list[Line]], list[Line]], fault: Fault
) -> None:
    """A checker that overlooks it proves nothing."""
    assert fault in faults(plant(good_book()))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"statuses": {**FINAL.statuses, 0: None}}, "lost"),
        ({"statuses": {**FINAL.statuses, 0: "active"}}, "stuck"),
        ({"statuses": {**FINAL.statuses, 2: "done"}}, "wrong"),
        ({"under_way": 1}, "stuck"),
        ({"dead_letters": []}, "lost"),
        ({"dead_letters": [*FINAL.dead_letters, *FINAL.dead_letters]}, "doubled"),
        ({"dead_letters": [*FINAL.dead_letters, DeadEvent("mark-1-0", 5, "late")]}, "dead letter"),
        ({"dead_letters": [DeadEvent("poison-1", 1, "a bug")]}, "dead letter"),
        ({"consumed": {0: ["a 1", "a 1"]}}, "doubled"),
        ({"produced": {0: ["a 1", "a 1"]}}, "doubled"),
    ],
)
def test_a_fault_in_the_backend_is_reported(changes: dict[str, Any], fault: Fault) -> None:
    """The books of the workers know nothing of it."""
    assert fault in faults(good_book(), evolve(FINAL, **changes))


def with_death(lines: list[Line], at: float, pid: int = 1) -> list[Line]:
    """Plant a kill of a process."""
    killing, killed = Line("killing", pid, at=at), Line("killed", pid, detail=-9, at=at + 0.005)
    return sorted([*lines, killing, killed], key=lambda line: line.at)


def test_a_repeated_call_is_explained_by_a_death_in_that_very_call() -> None:
    """Its result was not stored, so another process has to make the call again."""
    book = repeat(good_book(), "mark-1", pid=2, behind="mark-1")
    ended = next(each.at for each in book if (each.kind, each.key) == ("end", "mark-1"))

    report = check(RUNS, with_death(book, ended + 0.001), FINAL)

    assert report.findings == []
    assert report.figures.repeated == {"death": 1}


@pytest.mark.parametrize(
    ("behind", "pid", "after"),
    [("mark-2", 2, 0.001), ("mark-1", 1, 0.001), ("mark-1", 2, 100.0), ("mark-1", 2, -1.0)],
    ids=["its result was used", "it did not die", "it died later", "it died before"],
)
def test_a_repeated_call_is_not_explained_by_another_death(
    behind: str, pid: int, after: float
) -> None:
    """Kills happen all the time, and must not excuse everything."""
    book = repeat(good_book(), "mark-1", pid=pid, behind=behind)
    ended = next(each.at for each in book if (each.kind, each.key) == ("end", "mark-1"))

    assert "repeated" in faults(with_death(book, ended + after))


@pytest.mark.parametrize(("before", "reasons"), [(1.0, {"outage": 1}), (60.0, {})])
def test_a_repeated_call_is_explained_by_an_outage_of_the_server_just_before(
    before: float, reasons: dict[str, int]
) -> None:
    """A server that was killed delivers again what a worker still has in hand."""
    book = repeat(good_book(), "mark-1", pid=2, behind="mark-1")
    up = next(each.at for each in book if (each.kind, each.key) == ("begin", "mark-1")) - before
    outage = [Line("server down", 9, at=up - 0.5), Line("server up", 9, at=up)]

    report = check(RUNS, [*outage, *book], FINAL)

    assert report.figures.repeated == reasons
    assert bool(report.findings) == (not reasons)


def test_a_request_that_was_published_twice_is_an_excuse_on_a_pair_alone() -> None:
    """A whole backend has an inbox for event handlers, too."""
    book = repeat(good_book(), "charge", pid=2, behind="mark-1")
    published = next(each.at for each in book if (each.kind, each.key) == ("end", "right"))
    book = with_death(book, published + 0.001)

    assert faults(book, is_paired=True) == set()
    assert "repeated" in faults(book)


@pytest.mark.parametrize(("run", "found"), [(2, set()), (0, {"repeated"})])
def test_an_outcome_that_no_call_led_to_may_be_published_twice_after_any_death(
    run: int, found: set[Fault]
) -> None:
    """The book does not name the process that cancelled a workflow; it names the others."""
    lines = good_book()
    at = position(lines, "end", run, "outcome") + 1
    lines[at:at] = [evolve(each, pid=2, call="again") for each in lines[at - 2 : at]]
    book = with_death(lines, lines[at].at - 0.3, pid=9)

    assert faults(book, is_paired=True) == found
