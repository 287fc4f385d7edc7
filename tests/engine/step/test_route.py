"""Route: find the destination of an event."""

from typing import Any

import attrs
import pytest

from arvo import Event
from arvo.engine.step.route import Route, ToCaller, ToDomain, ToHandler, Unroutable, route
from tests.shop import WEB, charge_request, expect_commit, order_request, shop

ORDER = order_request()
REQUEST = expect_commit(shop, charge_request(redirectto="com.shop.office"))
ANSWER: Event[Any] = REQUEST.events[0]


@pytest.mark.promise("I8")
@pytest.mark.parametrize(
    ("event", "cause", "destination"),
    [
        (charge_request(), None, ToHandler("com.payment.charge", None)),
        (ORDER, None, ToHandler("arvo.orc.order.fulfil", ORDER.subject)),
        (charge_request(domain="human"), None, ToHandler("com.payment.charge", None)),
        (charge_request(domain="human"), ORDER, ToDomain("human")),
        (ANSWER, REQUEST.event, ToCaller("com.shop.office")),
        (attrs.evolve(ANSWER, to=WEB), REQUEST.event, ToCaller(WEB)),
        (attrs.evolve(ANSWER, to="com.some.other"), REQUEST.event, None),
        (attrs.evolve(ANSWER, to=WEB), None, None),
    ],
    ids=[
        *(
            "handler",
            "workflow",
            "from outside",
            "leaves",
            "redirected",
            "sender",
            "unknown address",
        ),
        "no request",
    ],
)
def test_an_event_goes_to_a_handler_a_domain_a_caller_or_is_unroutable(
    event: Event[Any], cause: Event[Any] | None, destination: Route | None
) -> None:
    """I8: an unroutable event is reported, with the addresses of the system."""
    if destination is None:
        destination = Unroutable(
            f"no handler is at {event.to!r} (known addresses: {', '.join(shop.addresses)})"
        )

    assert route(shop, event, cause) == destination


def test_an_answer_may_go_to_the_redirectto_of_its_request() -> None:
    """The request names that address as the one that gets the answer."""
    request = attrs.evolve(REQUEST.event, redirectto="com.third.party")
    answer = attrs.evolve(ANSWER, to="com.third.party")

    assert route(shop, answer, request) == ToCaller("com.third.party")
    assert route(shop, answer, charge_request()) != ToCaller("com.third.party")
