"""Trace: everything that happened in a run, drawn as a sequence diagram."""

from arvo import (
    ContractViolation,
    Emit,
    Event,
    Fail,
    Issue,
    System,
    Turn,
    Violate,
    run,
)
from tests.shop import (
    BookShipment,
    CardCharged,
    ChargeCard,
    charge_request,
    make_workflow,
    order_request,
    payment_handler,
    shop,
)


def calls(turn: Turn[object]) -> list[Emit]:
    """Send to a domain, to an unknown address, and to a service that fails and one that refuses."""
    if turn.input is None:
        return []
    return [
        Emit(ChargeCard("o1", 1.0), domain="human"),
        Emit(BookShipment("o1")),
        Emit(ChargeCard("fails", 1.0)),
        Emit(ChargeCard("refuses", 1.0)),
    ]


def pays(event: Event[ChargeCard]) -> Fail | Violate:
    if event.data.order_id == "fails":
        return Fail("no money")
    return Violate(ContractViolation("not now", Issue("data", "more", "less")))


DRAWN = """\
                           arvo.orc.order.                                com.payment.
com.shop.web                   fulfil                   (human)  (none)      charge
      │                           │                        │        │           │
      ├── arvo.orc.order.fulfil ─▶│                        │        │           │
      │                           ├── com.payment.charge ─▶│        │           │
      │                           ├── com.shipping.book ───┼───────▶│           │
      │                           │               ✗ no handler is at 'com.shipping.book'
      │                           │                 (known addresses:           │
      │                           │                 arvo.orc.order.fulfil,      │
      │                           │                 com.payment.charge)         │
      │                           ├── com.payment.charge ──┼────────┼──────────▶│
      │                           ├── com.payment.charge ──┼────────┼──────────▶│
      │                           │               ✗ ContractViolation: not now: data:
      │                           │                 expected more, got less     │
      │                           │◀─ sys.com.payment.charge.error ─┼───────────┤
      │                           │ ✗ no money             │        │           │"""


def test_a_drawing_shows_destinations_and_failures() -> None:
    """An event left the system, was unroutable, failed or was refused."""
    system = System([make_workflow(calls), payment_handler(pays)])

    assert run(system, order_request()).draw(width=90) == DRAWN


def test_an_event_that_changed_nothing_has_a_note() -> None:
    """A second answer to one request is ignored."""
    begun = run(shop, order_request())
    answer = next(event for event in begun.events if isinstance(event.data, CardCharged))

    drawn = run(shop, answer, records=begun.records).draw(width=90)

    assert "✗ the workflow is done" in drawn
    assert "✗" not in run(shop, charge_request()).draw()
