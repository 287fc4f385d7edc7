"""Trace: what happened, drawn."""

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
    charging,
    paying,
    placing,
    shop,
    workflow,
)


def asks(turn: Turn[object]) -> list[Emit]:
    """Ask somebody outside, nobody, and two that cannot answer."""
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
                           arvo.orc.order.                                  com.payment.
com.shop.web                   fulfil                   (human)  (nobody)      charge
      │                           │                        │         │            │
      ├── arvo.orc.order.fulfil ─▶│                        │         │            │
      │                           ├── com.payment.charge ─▶│         │            │
      │                           ├── com.shipping.book ───┼────────▶│            │
      │                           │               ✗ nobody is at 'com.shipping.book';
      │                           │                 there are arvo.orc.order.fulfil,
      │                           │                 com.payment.charge            │
      │                           ├── com.payment.charge ──┼─────────┼───────────▶│
      │                           ├── com.payment.charge ──┼─────────┼───────────▶│
      │                           │               ✗ ContractViolation: not now: data:
      │                           │                 expected more, got less       │
      │                           │◀─ sys.com.payment.charge.error ──┼────────────┤
      │                           │ ✗ no money             │         │            │"""


def test_a_drawing_says_where_each_event_went_and_what_went_wrong() -> None:
    """Left the system, found nobody, came to a failure, was refused."""
    system = System([workflow(asks), paying(pays)])

    assert run(system, placing()).draw(width=90) == DRAWN


def test_what_changed_nothing_says_why() -> None:
    """A request that is answered twice is taken once."""
    begun = run(shop, placing())
    answer = next(event for event in begun.events if isinstance(event.data, CardCharged))

    drawn = run(shop, answer, records=begun.records).draw(width=90)

    assert "✗ the workflow is done" in drawn
    assert "✗" not in run(shop, charging()).draw()
