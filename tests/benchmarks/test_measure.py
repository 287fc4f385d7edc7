"""Measure: sides take turns, and one that cannot be measured does not stop the others."""

from collections.abc import Callable, Iterable

from benchmarks.measure import Figures, Measured, Side, Unmeasured, alternate, child

Make = Callable[[], Side]


def fake(figures: Iterable[float], order: list[str], name: str) -> Make:
    """Make a side that gives prepared figures, and notes its turns in *order*."""
    left = iter(figures)

    def measure() -> Figures:
        order.append(name)
        return {"µs": next(left)}

    return lambda: measure


def test_sides_take_turns() -> None:
    """What slows the machine for a while must not hit one side alone."""
    order: list[str] = []

    measured = alternate(
        {"ours": fake([1, 2], order, "ours"), "theirs": fake([3, 4], order, "theirs")}, 2
    )

    assert order == ["ours", "theirs", "ours", "theirs"]
    assert measured["ours"] == Measured([{"µs": 1}, {"µs": 2}])


def test_a_ratio_is_that_of_adjacent_runs() -> None:
    """While the machine is busy both sides are slow, and their ratio stays."""
    ours = Measured([{"µs": 1}, {"µs": 100}, {"µs": 2}])
    theirs = Measured([{"µs": 2}, {"µs": 200}, {"µs": 5}])

    assert ours.ratio(theirs, "µs") == 0.5
    assert ours.median("µs") == 2


def test_a_side_that_is_not_installed_is_left_out() -> None:
    """The other figures of the row still count."""
    order: list[str] = []

    def missing() -> Side:
        raise Unmeasured("not installed")

    measured = alternate({"missing": missing, "ours": fake([1, 2], order, "ours")}, 2)

    assert str(measured["missing"]) == "not installed"
    assert measured["ours"] == Measured([{"µs": 1}, {"µs": 2}])


def test_a_child_prints_its_figures_on_its_last_line() -> None:
    """What a library writes before it does not matter."""
    measure = child("-c", "print('starting'); print('{\"µs\": 2.5}')")

    assert measure() == {"µs": 2.5}


def test_a_child_that_fails_is_an_outcome() -> None:
    """One row that fails must not cost the rows that were measured before it."""
    measured = alternate({"ours": lambda: child("-c", "raise SystemExit(3)")}, 3)

    assert str(measured["ours"]) == "failed"
