"""Page: the cells of a row, and the part of the page that a run writes."""

import pytest

from benchmarks.measure import Measured, Side, Unmeasured
from benchmarks.page import ORJSON, OURS, Outcome, lines, markdown, orjson_line, replace
from benchmarks.table import Peer, Recorded, Row

Sides = dict[str, Measured | Unmeasured]


def no_side() -> Side:
    raise AssertionError("the figures are given")


def row(*peers: Peer, unit: str = "µs") -> Row:
    return Row("one turn", (unit,), no_side, peers)


def test_a_peer_is_compared_with_ours() -> None:
    """Above one we are faster, whatever the unit is."""
    sides: Sides = {
        OURS: Measured([{"µs": 10}]),
        "peer": Measured([{"µs": 25}]),
        ORJSON: Measured([{"µs": 2}]),
    }

    assert lines(Outcome(row(Peer("peer", no_side)), sides)) == [
        ("one turn", "10 µs", "5", "peer", "25 µs", "2.5")
    ]


def test_more_a_second_is_better() -> None:
    """A rate is compared the other way round."""
    sides: Sides = {OURS: Measured([{"turns/s": 300}]), "peer": Measured([{"turns/s": 100}])}

    assert lines(Outcome(row(Peer("peer", no_side), unit="turns/s"), sides)) == [
        ("one turn", "300 turns/s", "", "peer", "100 turns/s", "3")
    ]


def test_a_peer_that_is_not_installed_shows_what_was_recorded() -> None:
    """The row says so instead of failing, and the record carries its date."""
    peers = (
        Peer("peer", no_side, Recorded(10, 20, "May 2026")),
        Peer("other", None, Recorded(10, 5, "May 2026")),
        Peer("third", no_side),
    )
    missing = Unmeasured("not installed")
    sides: Sides = {
        OURS: Measured([{"turns/s": 300}]),
        "peer": missing,
        "third": missing,
    }

    assert lines(Outcome(row(*peers, unit="turns/s"), sides)) == [
        ("one turn", "300 turns/s", "", "peer", "not installed", "0.5 in May 2026"),
        ("", "", "", "other", "not measured here", "2 in May 2026"),
        ("", "", "", "third", "not installed", ""),
    ]


def test_a_row_of_ours_that_takes_too_long_says_so() -> None:
    """A curve that explodes is a finding, not an error of the benchmark."""
    sides: Sides = {OURS: Unmeasured("more than 180 s"), ORJSON: Measured([{"µs": 2}])}

    assert lines(Outcome(row(), sides)) == [("one turn", "more than 180 s", "", "", "", "")]


def test_the_speed_of_the_machine_is_the_usual_round_trip() -> None:
    """The large event of one row has a round trip of its own."""
    usual = Outcome(row(), {ORJSON: Measured([{"µs": 2}])})
    large = Outcome(
        Row("large", ("µs",), no_side, trip=lambda: None), {ORJSON: Measured([{"µs": 900}])}
    )

    assert "took 2 µs" in orjson_line([usual, large])
    assert "(2 to 2 from row to row)" in orjson_line([usual, large])


def test_only_the_part_between_the_markers_is_written() -> None:
    """The prose of the page is written by hand."""
    page = "before\n<!-- table: written by make bench -->\nold\n<!-- end of table -->\nafter\n"

    written = replace(page, "table", markdown(("a", "b"), [("1", "2")]))

    assert written == (
        "before\n<!-- table: written by make bench -->\n\n"
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n\n<!-- end of table -->\nafter\n"
    )
    assert replace(written, "table", markdown(("a", "b"), [("1", "2")])) == written


def test_a_page_without_markers_is_refused() -> None:
    """A run that measures for an hour must not lose its figures silently."""
    with pytest.raises(ValueError, match="no markers of 'growth'"):
        replace("text", "growth", "")
