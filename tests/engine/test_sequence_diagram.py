"""Sequence diagram: draw arrows between lifelines in plain text."""

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


def test_arrows_go_from_lifeline_to_lifeline() -> None:
    """An operator reads a run and its failures from top to bottom."""
    order, request, reply, completion = PAID
    failed = evolve(reply, note="no such order")

    assert draw_sequence((order, request, failed, completion)) == DRAWN


def test_an_event_to_its_own_source_is_drawn_as_a_loop() -> None:
    """A timer of a workflow is such an event."""
    drawn = draw_sequence([Arrow("arvo.orc.order", "arvo.orc.order", "evt.timer.rang")])

    assert drawn == "arvo.orc.order\n       │\n       ├──╮ evt.timer.rang\n       │◀─╯"


@pytest.mark.parametrize("width", range(40, 141, 10))
def test_a_drawing_fits_into_the_terminal(width: int) -> None:
    """A line that the terminal wraps makes a drawing unreadable."""
    note = "nothing changed: " + "a reason of many words " * 10
    arrows = (*PAID, Arrow("com.payment.charge", "com.payment.charge", "again", note))

    assert max(map(len, draw_sequence(arrows, width=width).splitlines())) <= max(width, 44)


def test_a_note_on_the_last_lifeline_may_reach_beyond_it() -> None:
    """The space there is free."""
    drawn = draw_sequence([Arrow("a", "b", "x", note="no such order")])

    assert drawn.splitlines()[2:] == ["├── x ─▶│", "│       │ ✗ no such order"]


def widest(drawn: str) -> int:
    return max(map(len, drawn.splitlines()))


@pytest.mark.parametrize(
    "arrows", [[Arrow("a", "a", "again")], [Arrow("a", "b", "x")], [Arrow("a.web", "a.till", "x")]]
)
def test_a_drawing_that_fits_is_not_shortened(arrows: list[Arrow]) -> None:
    """It may use every column."""
    drawn = draw_sequence(arrows)

    assert draw_sequence(arrows, width=widest(drawn)) == drawn


ALPHABET = "abcdefghijklmnopqrst"


@pytest.mark.parametrize("less", range(1, 13))
def test_a_label_loses_as_few_characters_as_possible(less: int) -> None:
    """The end of an event type distinguishes it from others."""
    arrow = Arrow("a", "b", ALPHABET)
    narrow = widest(draw_sequence([arrow])) - less

    drawn = draw_sequence([arrow], width=narrow)

    assert widest(drawn) == narrow
    assert f"├── …{ALPHABET[less + 1 :]} ─▶│" in drawn
    assert draw_sequence([arrow], width=1).endswith("├── …nopqrst ─▶│")


@pytest.mark.parametrize(
    ("less", "label"),
    [(1, "…bbbb.cccc"), (3, "…bbbb.cccc"), (4, "…bbbb.cccc"), (5, "…cccc"), (6, "…cccc")],
)
def test_a_label_is_shortened_at_a_dot_where_possible(less: int, label: str) -> None:
    """Half a word is confusing."""
    arrow = Arrow("a", "b", "aaaa.bbbb.cccc")

    drawn = draw_sequence([arrow], width=widest(draw_sequence([arrow])) - less)

    assert f"── {label} ─" in drawn


def header_rows(name: str) -> list[str]:
    """Return the rows that the name of a lifeline is broken into."""
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
def test_the_name_of_a_lifeline_is_broken_at_dots(name: str, rows: list[str]) -> None:
    """It is complete unless it is too long to read."""
    assert header_rows(name) == rows


CROWDED = (
    *PAID[:2],
    evolve(PAID[2], note="nothing changed: " + "a reason of many words " * 20),
    Arrow(
        "arvo.orc.order",
        "com.a.long.name.of.a.line.that.has.many.parts.and.averyveryverylongpart",
        "evt.warehouse.shipment.picked.and.packed",
        "noted on the last line",
    ),
    Arrow("com.shop.web", "com.payment.charge", "x.crossing.two"),
    PAID[3],
)


@pytest.mark.parametrize("width", [40, 60, 100])
def test_a_crowded_drawing_breaks_names_and_shortens_labels(width: int) -> None:
    """Names are broken first, then labels are shortened; notes are wrapped and bounded."""
    assert draw_sequence(CROWDED, width=width) == CROWDED_DRAWN[width]


CROWDED_DRAWN = {
    40: """\
                                         com.a.…
                                       of.a.line.
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
  ✗ noted on the last line      │           │
    ├── …two ────┼─────────────▶│           │
    │◀─ …done ───┤              │           │""",
    60: """\
                                                 com.a.…
                                               of.a.line.
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
    │               ✗ noted on the last line        │
    ├── x.crossing.two ──┼─────────────▶│           │
    │◀─ …order.done ─────┤              │           │""",
    100: """\
                                                                       com.a.long.name.
                                                                        of.a.line.that.
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
      │                         │                         │ ✗ noted on the last line
      ├── x.crossing.two ───────┼────────────────────────▶│                    │
      │◀─ arvo.orc.order.done ──┤                         │                    │""",
}


def test_long_names_and_many_arrows_are_bounded() -> None:
    """Event types from outside may have any length."""
    long = Arrow("a" * 5000, "b." * 2000, "c" * 5000, "d" * 5000)

    lines = draw_sequence([long] * (ARROWS_DRAWN_MAX + 7), width=80).splitlines()
    assert lines[-1] == "… and 7 more"
    assert len(lines) < 8 * (ARROWS_DRAWN_MAX + 7)
    assert max(map(len, lines)) <= 80


def test_an_empty_trace_is_an_empty_drawing() -> None:
    """It is not an error."""
    assert draw_sequence(()) == ""
