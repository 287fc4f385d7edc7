"""Checker: it reports each fault that is planted in a book, and none in a book without one."""

from collections.abc import Callable, Sequence
from itertools import pairwise
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

    def call(self, run: int, key: str, pid: int = 1, detail: Any = None, after: str = "") -> str:
        """Write a whole call, for an event of its own that followed from another one; returns its
        name.
        """
        call = f"{pid}-{len(self.lines)}"
        event: dict[str, Any] = {"key": f"event-{run}-{key}", "delivery": call}
        self.write("received", pid, detail=1, **event)
        self.write("begin", pid, run, key, call=call, detail=detail, delivery=call)
        self.write("end", pid, run, key, call=call)
        self.write("stored", pid, detail=[call], **event)
        emitted = [f"event-{run}-{after}"] if after else []
        self.write("committing", pid, detail=[event["key"], *emitted], **event)
        self.write("settled", pid, **event)
        return call


def completed(book: Writer, run: int) -> None:
    """Write the calls of a workflow that completes."""
    keys = [key for key in STAGES if key != "refund"]
    calls = {key: book.call(run, key, after=after) for key, after in pairwise(keys)}
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


def repeat(
    lines: list[Line], key: str, *, pid: int, behind: str, attempt: int = 2, run: int = 0
) -> list[Line]:
    """Plant a second call of *key*, right behind the end of *behind*, for another delivery."""
    at = position(lines, "end", run, behind)
    received, begun = position(lines, "received", -1, f"event-{run}-{key}"), lines[at].at + 0.01
    again = evolve(lines[received], pid=pid, detail=attempt, delivery="again", at=begun)
    detail = lines[position(lines, "begin", run, key)].detail
    begin = Line("begin", pid, run, key, call="again", delivery="again", detail=detail, at=begun)
    return [*lines[: at + 1], again, begin, evolve(begin, kind="end"), *lines[at + 1 :]]


def time_of(lines: Sequence[Line], kind: Kind, key: str) -> float:
    """Return the time of a line."""
    return next(each.at for each in lines if (each.kind, each.key) == (kind, key))


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


def with_lines(lines: list[Line], *others: Line) -> list[Line]:
    """Plant lines at their times."""
    return sorted([*lines, *others], key=lambda line: line.at)


def with_death(lines: list[Line], at: float, pid: int = 1) -> list[Line]:
    """Plant a kill of a process."""
    killing, killed = Line("killing", pid, at=at), Line("killed", pid, detail=-9, at=at + 0.005)
    return with_lines(lines, killing, killed)


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


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("freezing", "freeze"), ("stalled", "freeze"), ("server down", "outage")],
)
@pytest.mark.parametrize("is_meanwhile", [True, False])
def test_a_repeated_call_is_explained_by_what_happened_while_its_worker_had_the_event(
    kind: Kind, reason: str, *, is_meanwhile: bool
) -> None:
    """Then others have it. A fault that was over before, however short, explains nothing."""
    book = repeat(good_book(), "mark-1", pid=2, behind="mark-1")
    received = time_of(book, "received", "event-0-mark-1")
    down, up = received - 0.05, received + (0.01 if is_meanwhile else -0.01)
    ends: dict[Kind, Kind] = {"freezing": "thawed", "server down": "server up"}
    if kind in ends:
        book = with_lines(book, Line(kind, 1, at=down), Line(ends[kind], 1, at=up))
    else:
        book = with_lines(book, Line(kind, 1, at=up, detail=down))

    report = check(RUNS, book, FINAL)

    assert report.figures.repeated == ({reason: 1} if is_meanwhile else {})
    assert bool(report.findings) == (not is_meanwhile)


def test_a_process_that_was_frozen_with_an_event_may_make_a_call_that_others_have_made() -> None:
    """It cannot know that it has lost the event before it goes on."""
    book = repeat(good_book(), "mark-1", pid=2, behind="mark-3")
    early, late = time_of(book, "begin", "mark-1") + 0.01, time_of(book, "end", "mark-3")
    received = next(each for each in book if (each.kind, each.delivery) == ("received", "again"))
    book.remove(received)
    book = with_lines(book, evolve(received, at=early))
    freeze = Line("freezing", 2, at=early + 0.01), Line("thawed", 2, at=late)

    assert "repeated" in faults(book)
    assert faults(with_lines(book, *freeze)) == set()


@pytest.mark.parametrize("is_processed_twice", [True, False])
@pytest.mark.parametrize("key", ["charge", "mark-1"])
def test_an_event_that_was_published_twice_is_an_excuse_on_a_pair_alone(
    key: str, *, is_processed_twice: bool
) -> None:
    """A whole backend has an inbox for event handlers, too; and a workflow has a record."""
    book = repeat(good_book(), key, pid=2, behind="mark-2", attempt=1)
    if is_processed_twice:
        # Its worker died before it had settled the event, from which the request followed.
        source = "event-0-right"
        again = Line("received", 2, key=source, detail=2, delivery="source")
        again = evolve(again, at=time_of(book, "committing", source) + 0.01)
        book = with_death(with_lines(book, again), again.at - 0.005)
        book = [each for each in book if (each.kind, each.key) != ("settled", source)]
    is_excused = is_processed_twice and key == "charge"

    assert faults(book, is_paired=True) == (set() if is_excused else {"repeated"})
    assert "repeated" in faults(book)


@pytest.mark.parametrize(
    ("attempt", "after", "is_excused"), [(2, 1.0, True), (1, 1.0, False), (2, 60.0, False)]
)
def test_a_forgotten_ack_is_one_of_a_worker_that_ended_at_once(
    attempt: int, after: float, *, is_excused: bool
) -> None:
    """The server delivers the same message again; another message is no redelivery."""
    book = repeat(good_book(), "outcome", pid=2, behind="outcome", attempt=attempt)
    again = [each for each in book if each.delivery == "again" or each.call == "again"]
    rest = [each for each in book if each not in again]
    settled = time_of(rest, "settled", "event-0-outcome")
    late = [evolve(each, at=settled + after + 0.2) for each in again]
    stop = Line("stopping", 1, at=settled + after), Line("stopped", 1, detail=0, at=1e6)
    book = with_lines(rest, *late, *stop)

    report = check(RUNS, book, FINAL, is_paired=True, confirms_acks=False)

    assert report.figures.repeated == ({"lost ack": 1} if is_excused else {})


@pytest.mark.parametrize(("after", "is_excused"), [(0.1, True), (60.0, False)])
def test_a_server_that_was_killed_may_have_forgotten_a_delivery_and_its_ack(
    after: float, *, is_excused: bool
) -> None:
    """Then the message comes again as if it had never been delivered."""
    book = repeat(good_book(), "outcome", pid=2, behind="outcome", attempt=1)
    again = [each for each in book if each.delivery == "again" or each.call == "again"]
    rest = [each for each in book if each not in again]
    settled = time_of(rest, "settled", "event-0-outcome")
    late = [evolve(each, at=settled + after + 0.3) for each in again]
    down = Line("server down", 0, at=settled + after)
    up = Line("server up", 0, at=settled + after + 0.2)

    report = check(
        RUNS, with_lines(rest, *late, down, up), FINAL, is_paired=True, confirms_acks=False
    )

    assert report.figures.repeated == ({"lost ack": 1} if is_excused else {})
