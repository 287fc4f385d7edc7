"""Route: where an event goes."""

from typing import Any

import attrs
import pytest

from arvo import Event
from arvo.engine.step.route import Route, ToCaller, ToDomain, ToHandler, Unroutable, route
from tests.shop import WEB, charging, committed, placing, shop

ORDER = placing()
ASKED = committed(shop, charging(redirectto="com.shop.desk"))
ANSWER: Event[Any] = ASKED.events[0]


@pytest.mark.parametrize(
    ("event", "cause", "destination"),
    [
        (charging(), None, ToHandler("com.payment.charge", None)),
        (ORDER, None, ToHandler("arvo.orc.order.fulfil", ORDER.subject)),
        (charging(domain="human"), None, ToHandler("com.payment.charge", None)),
        (charging(domain="human"), ORDER, ToDomain("human")),
        (ANSWER, ASKED.event, ToCaller("com.shop.desk")),
        (attrs.evolve(ANSWER, to=WEB), ASKED.event, ToCaller(WEB)),
        (attrs.evolve(ANSWER, to="com.some.other"), ASKED.event, None),
        (attrs.evolve(ANSWER, to=WEB), None, None),
    ],
    ids=[
        *("handler", "workflow", "from outside", "leaves", "redirected", "asker", "stranger"),
        "nobody asked",
    ],
)
def test_an_event_goes_in_out_home_or_nowhere(
    event: Event[Any], cause: Event[Any] | None, destination: Route | None
) -> None:
    """I8: what nobody has the address of is told, with the addresses there are."""
    if destination is None:
        destination = Unroutable(
            f"nobody is at {event.to!r}; there are {', '.join(shop.addresses)}"
        )

    assert route(shop, event, cause) == destination


def test_an_answer_goes_home_to_whom_its_request_redirects_to() -> None:
    """Whoever is named there has asked for it, though the request is another's."""
    asked = attrs.evolve(ASKED.event, redirectto="com.third.party")
    answer = attrs.evolve(ANSWER, to="com.third.party")

    assert route(shop, answer, asked) == ToCaller("com.third.party")
    assert route(shop, answer, charging()) != ToCaller("com.third.party")
