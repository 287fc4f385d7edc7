"""Missing: which handler or version an event needs that a system lacks."""

from attrs import evolve

from arvo import System
from arvo.engine.system.missing import ServiceVersion, missing_service
from tests.interpreters.rolling import charge_event, new, old, order_event, refund_event
from tests.shop import charge_request, expect_commit, order_request, shop


def test_a_system_that_has_the_version_lacks_nothing() -> None:
    """Then the step decides."""
    for event in (charge_event(1), order_event(1), refund_event(1)):
        assert missing_service(new, event, None) is None
    assert missing_service(shop, charge_request(), None) is None


def test_the_missing_version_is_named() -> None:
    """Of an event handler, by the event's contract; of a workflow, by its subject."""
    assert missing_service(old, charge_event(1), None) == ServiceVersion("com.pay.charge", "2.0.0")
    missing = missing_service(old, order_event(1), None)
    assert missing == ServiceVersion("arvo.orc.rolling.order", "2.0.0")
    assert str(missing) == "arvo.orc.rolling.order 2.0.0"


def test_the_version_of_the_record_counts() -> None:
    """`migrate` moves a workflow to another version than its subject names."""
    event = order_request()
    record = expect_commit(shop, event).record
    assert record is not None

    moved = evolve(record, version="2.0.0")

    assert missing_service(shop, event, record) is None
    assert missing_service(shop, event, moved) == ServiceVersion(event.to or "", "2.0.0")


def test_a_missing_handler_is_named() -> None:
    """Another system may have it."""
    missing = missing_service(System([]), charge_request(), None)
    assert missing == ServiceVersion("com.payment.charge", None)
    assert str(missing) == "com.payment.charge"


def test_an_event_of_another_contract_lacks_no_version() -> None:
    """No version of this handler would take it."""
    event = charge_request()
    assert missing_service(shop, evolve(event, dataschema="#/other/9.0.0"), None) is None
    assert missing_service(shop, evolve(event, dataschema=None), None) is None
    assert missing_service(shop, evolve(event, type="com.other"), None) is None
    unreadable = evolve(order_request(), subject="unreadable")
    assert missing_service(shop, unreadable, None) is None
    elsewhere = evolve(order_event(1), to=order_request().to)
    assert missing_service(shop, elsewhere, None) is None
