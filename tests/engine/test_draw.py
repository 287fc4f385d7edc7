"""Sequence diagrams in plain text."""

import pytest
from attrs import evolve

from arvo.engine.draw import ARROWS_DRAWN_MAX, Arrow, draw_sequence

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


def test_a_label_that_does_not_fit_keeps_its_end() -> None:
    """The end of an event's type tells it from others."""
    drawn = draw_sequence(PAID, width=50)

    assert "…charged" in drawn or "…payment.charged" in drawn


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
