"""Sequence diagrams in plain text."""

import pytest
from attrs import evolve

from arvo.engine.sequence_diagram import ARROWS_DRAWN_MAX, Arrow, draw_sequence

PAID = (
    Arrow("com.shop.web", "arvo.orc.order", "arvo.orc.order"),
    Arrow("arvo.orc.order", "com.payment.charge", "com.payment.charge"),
    Arrow("com.payment.charge", "arvo.orc.order", "evt.payment.charged"),
    Arrow("arvo.orc.order", "com.shop.web", "arvo.orc.order.done"),
)


DRAWN = """\
                                                    com.payment.
com.shop.web             arvo.orc.order                charge
      │                         │                         │
      ├── arvo.orc.order ──────▶│                         │
      │                         ├── com.payment.charge ──▶│
      │                         │◀─ evt.payment.charged ──┤
      │                         │ ✗ no such order         │
      │◀─ arvo.orc.order.done ──┤                         │"""


def test_arrows_go_from_lane_to_lane() -> None:
    """An operator reads from top to bottom what happened, and what went wrong."""
    begun, asked, answered, done = PAID

    assert draw_sequence((begun, asked, evolve(answered, note="no such order"), done)) == DRAWN


def test_an_event_to_its_own_lane_comes_back_to_it() -> None:
    """A timer of a workflow is such an event."""
    drawn = draw_sequence([Arrow("arvo.orc.order", "arvo.orc.order", "evt.timer.rang")])

    assert drawn == "arvo.orc.order\n       │\n       ├──╮ evt.timer.rang\n       │◀─╯"


@pytest.mark.parametrize("width", range(40, 141, 10))
def test_it_fits_into_the_terminal(width: int) -> None:
    """A line that the terminal breaks makes a drawing unreadable."""
    note = "nothing changed: " + "a reason of many words " * 10
    arrows = (*PAID, Arrow("com.payment.charge", "com.payment.charge", "again", note))

    assert max(map(len, draw_sequence(arrows, width=width).splitlines())) <= max(width, 44)


def test_a_note_on_the_last_lane_may_reach_beyond_it() -> None:
    """There is nothing to stand in its way."""
    drawn = draw_sequence([Arrow("a", "b", "x", note="no such order")])

    assert drawn.splitlines()[2:] == ["├── x ─▶│", "│       │ ✗ no such order"]


def widest(drawn: str) -> int:
    return max(map(len, drawn.splitlines()))


@pytest.mark.parametrize(
    "arrows", [[Arrow("a", "a", "again")], [Arrow("a", "b", "x")], [Arrow("a.web", "a.desk", "x")]]
)
def test_nothing_is_shortened_that_fits(arrows: list[Arrow]) -> None:
    """To the last column."""
    drawn = draw_sequence(arrows)

    assert draw_sequence(arrows, width=widest(drawn)) == drawn


LETTERS = "abcdefghijklmnopqrst"


@pytest.mark.parametrize("less", range(1, 13))
def test_a_label_loses_no_more_than_it_must(less: int) -> None:
    """The end of an event's type tells it from others."""
    arrow = Arrow("a", "b", LETTERS)
    narrow = widest(draw_sequence([arrow])) - less

    drawn = draw_sequence([arrow], width=narrow)

    assert widest(drawn) == narrow
    assert f"├── …{LETTERS[less + 1 :]} ─▶│" in drawn
    assert draw_sequence([arrow], width=1).endswith("├── …nopqrst ─▶│")


@pytest.mark.parametrize(
    ("less", "label"),
    [(1, "…bbbb.cccc"), (3, "…bbbb.cccc"), (4, "…bbbb.cccc"), (5, "…cccc"), (6, "…cccc")],
)
def test_a_label_is_cut_at_a_dot_where_there_is_one(less: int, label: str) -> None:
    """Half a word says less than none."""
    arrow = Arrow("a", "b", "aaaa.bbbb.cccc")

    drawn = draw_sequence([arrow], width=widest(draw_sequence([arrow])) - less)

    assert f"── {label} ─" in drawn


def heads(name: str) -> list[str]:
    """Give the rows that the name of a lane is broken into."""
    drawn = draw_sequence([Arrow(name, name, "x")])
    return [row.strip() for row in drawn.partition("│")[0].splitlines() if row.strip()]


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("abcd.efgh.ijkl.m", ["abcd.efgh.ijkl.m"]),
        ("abcd.efgh.ijkl.mn", ["abcd.efgh.ijkl.", "mn"]),
        ("a name with spaces.x", ["a name with spac", "es.x"]),
        (".".join(["fourteen-chars"] * 8), ["fourteen-chars."] * 7 + ["fourteen-chars"]),
        (
            ".".join(["begins-as-long--", *map(str, range(10**14, 10**14 + 8))]),
            [
                "begins-as-long-…",
                *(f"{n}." for n in range(10**14 + 1, 10**14 + 7)),
                f"{10**14 + 7}",
            ],
        ),
    ],
)
def test_the_name_of_a_lane_is_broken_at_dots(name: str, rows: list[str]) -> None:
    """Nothing of it is lost, unless it is longer than anybody reads."""
    assert heads(name) == rows


CROWDED = (
    *PAID[:2],
    evolve(PAID[2], note="nothing changed: " + "a reason of many words " * 20),
    Arrow(
        "arvo.orc.order",
        "com.a.long.name.of.a.lane.that.has.many.parts.and.averyveryverylongpart",
        "evt.warehouse.shipment.picked.and.packed",
        "noted on the last lane",
    ),
    Arrow("com.shop.web", "com.payment.charge", "x.crossing.two"),
    PAID[3],
)


@pytest.mark.parametrize("width", [40, 60, 100])
def test_a_crowded_drawing(width: int) -> None:
    """Names are broken first, then labels are cut; notes are wrapped, and end somewhere."""
    assert draw_sequence(CROWDED, width=width) == CROWDED_DRAWN[width]


CROWDED_DRAWN = {
    40: """\
                                         com.a.…
                                       of.a.lane.
                                        that.has.
                                          many.
                                       parts.and.
                              com.     averyveryv
com.shop.    arvo.orc.      payment.   erylongpar
   web         order         charge         t
    │            │              │           │
    ├── …order ─▶│              │           │
    │            ├── …charge ──▶│           │
    │            │◀─ …charged ──┤           │
  ✗ nothing changed: a reason of many       │
    words a reason of many words a reason   │
    of many words a reason of many words a  │
    reason of many words a reason of many   │
    words a reason of many words a reason   │
    of many words a reason of many words …  │
    │            ├── …packed ───┼──────────▶│
  ✗ noted on the last lane      │           │
    ├── …two ────┼─────────────▶│           │
    │◀─ …done ───┤              │           │""",
    60: """\
                                                 com.a.…
                                               of.a.lane.
                                                that.has.
                                                  many.
                                               parts.and.
                                      com.     averyveryv
com.shop.            arvo.orc.      payment.   erylongpar
   web                 order         charge         t
    │                    │              │           │
    ├── arvo.orc.order ─▶│              │           │
    │                    ├── …charge ──▶│           │
    │                    │◀─ …charged ──┤           │
    │               ✗ nothing changed: a reason of many
    │                 words a reason of many words a reason
    │                 of many words a reason of many words a
    │                 reason of many words a reason of many
    │                 words a reason of many words a reason
    │                 of many words a reason of many words …
    │                    ├── …and.packed ──────────▶│
    │               ✗ noted on the last lane        │
    ├── x.crossing.two ──┼─────────────▶│           │
    │◀─ …order.done ─────┤              │           │""",
    100: """\
                                                                       com.a.long.name.
                                                                        of.a.lane.that.
                                                                        has.many.parts.
                                                                             and.
                                                    com.payment.       averyveryverylon
com.shop.web             arvo.orc.order                charge                gpart
      │                         │                         │                    │
      ├── arvo.orc.order ──────▶│                         │                    │
      │                         ├── com.payment.charge ──▶│                    │
      │                         │◀─ evt.payment.charged ──┤                    │
      │                         │ ✗ nothing changed: a reason of many words a reason of many words a
      │                         │   reason of many words a reason of many words a reason of many
      │                         │   words a reason of many words a reason of many words a reason of
      │                         │   many words a reason of many words a reason of many words a
      │                         │   reason of many words a reason of many words a reason of many
      │                         │   words a reason of many words a reason of many words a reason …
      │                         ├── evt.warehouse.shipment.picked.and.packed ─▶│
      │                         │                         │ ✗ noted on the last lane
      ├── x.crossing.two ───────┼────────────────────────▶│                    │
      │◀─ arvo.orc.order.done ──┤                         │                    │""",
}


def test_long_names_and_many_arrows_are_bounded() -> None:
    """What comes from outside may be of any length."""
    long = Arrow("a" * 5000, "b." * 2000, "c" * 5000, "d" * 5000)

    lines = draw_sequence([long] * (ARROWS_DRAWN_MAX + 7), width=80).splitlines()
    assert lines[-1] == "… and 7 more"
    assert len(lines) < 8 * (ARROWS_DRAWN_MAX + 7)
    assert max(map(len, lines)) <= 80


def test_nothing_is_drawn_of_nothing() -> None:
    """An empty trace is no error."""
    assert draw_sequence(()) == ""
