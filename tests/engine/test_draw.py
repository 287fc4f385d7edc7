"""Draw: what happened, for a terminal."""

import attrs

from arvo import run
from arvo.engine.draw import EVENTS_DRAWN_MAX, draw_sequence
from tests.shop import WEB, charging, shop


def test_a_trace_reads_from_top_to_bottom() -> None:
    """A lane for each address, an arrow for each event."""
    assert run(shop, charging()).draw().splitlines() == [
        "    com.shop.web     com.payment.charge",
        "         │                   │",
        "         │  com.payment.charge",
        "         │ ──────────────────▶",
        "         │  evt.payment.charged",
        "         │ ◀──────────────────",
    ]


def test_nothing_one_lane_and_an_address_that_is_missing_are_drawn() -> None:
    """No picture is an error."""
    alone = attrs.evolve(charging(), to=WEB, domain="human")
    lost = attrs.evolve(charging(), to=None, datacontenttype="application/json")

    assert draw_sequence([]).strip() == ""
    assert "com.payment.charge → human" in draw_sequence([alone])
    assert "(nobody)" in draw_sequence([lost])


def test_a_long_trace_is_cut_and_says_so() -> None:
    """A terminal is no archive."""
    drawn = draw_sequence([charging()] * (EVENTS_DRAWN_MAX + 3)).splitlines()

    assert drawn[-1] == "… and 3 more"
    assert len(drawn) == 2 + 2 * EVENTS_DRAWN_MAX + 1
