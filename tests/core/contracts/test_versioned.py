"""Versioned: the event factories of one contract version."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from arvo import (
    Contract,
    Event,
    Managed,
    ManagedId,
    OrchestratorContract,
    Stamp,
    Subject,
    SystemFault,
    Version,
    Violated,
    Workflow,
    stamping,
)
from tests.shop import TIME, WEB, CardCharged, ChargeCard, OrderFulfilled, PlaceOrder, charge, order

CHARGE = charge["1.0.0"]
ORDER = order["1.0.0"]
PARENT = Subject.new("arvo.orc.shop.day", "2.0.0", initiator=WEB, domain="eu", id="run-1")


def test_an_accepted_event_has_all_attributes() -> None:
    """A payload and a source are enough."""
    with stamping(lambda: Stamp("id-1", TIME)):
        event: Event[Any] = CHARGE.accepts(
            ChargeCard("o1", 5.0), source=WEB, redirectto="com.shop.office"
        )

    subject = Subject.new(
        "com.payment.charge",
        "1.0.0",
        initiator=WEB,
        meta={"redirectto": "com.shop.office"},
        id="id-1",
    )
    assert event.data == ChargeCard("o1", 5.0)
    assert event == Event(
        id="id-1",
        source=WEB,
        type="com.payment.charge",
        subject=str(subject),
        dataschema="#/contracts/payment/charge/1.0.0",
        data={"order_id": "o1", "amount": 5.0},
        time=TIME,
        to="com.payment.charge",
        redirectto="com.shop.office",
    )


def test_the_type_of_an_emitted_event_follows_from_its_class() -> None:
    """Two types that share a class are distinguished by `type=`."""
    emits = {"evt.a.yes": CardCharged, "evt.a.no": CardCharged}
    both = Contract(
        uri="#/b", type="com.a.b", versions={"1.0.0": Version(accepts=ChargeCard, emits=emits)}
    )["1.0.0"]

    assert CHARGE.emits(CardCharged("r"), source=WEB).type == "evt.payment.charged"
    assert both.emits(CardCharged("r"), source=WEB, type="evt.a.no").type == "evt.a.no"
    with pytest.raises(
        Violated, match=r"type: expected one of evt\.a\.yes, evt\.a\.no, got a Card"
    ):
        both.emits(CardCharged("r"), source=WEB)
    with pytest.raises(
        Violated, match=r"type: expected one of evt.payment.charged, evt.payment.declined"
    ):
        CHARGE.emits(CardCharged("r"), source=WEB, type="evt.other.thing")


def test_a_system_error_has_the_wildcard_version_and_no_stack() -> None:
    """B37: a stack shows the inside of a service to its callers."""
    try:
        os.environ["NOT_SET"]
    except KeyError as error:
        event = CHARGE.system_error(error, source=WEB)

    assert event.type == "sys.com.payment.charge.error"
    assert event.dataschema == "#/contracts/payment/charge/0.0.0"
    assert event.data == SystemFault(errorName="KeyError", errorMessage="'NOT_SET'")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CHARGE.accepts({"order_id": 1}, source=WEB), "data.order_id: expected a string"),  # type: ignore[arg-type]
        (lambda: CHARGE.accepts(CardCharged("r"), source=WEB), "an instance of ChargeCard"),  # type: ignore[arg-type]
        (lambda: CHARGE.accepts(ChargeCard("o", float("nan")), source=WEB), "data.amount"),
        (lambda: CHARGE.emits(3, source=WEB), "type: expected one of"),
        (lambda: ORDER.complete({}, source=WEB), "data.tracking"),  # type: ignore[arg-type]
        (lambda: ORDER.init(PlaceOrder("o"), source=WEB, parent="junk"), "subject: expected"),
        (lambda: CHARGE.accepts(ChargeCard("o", 1.0), source="web"), "source: expected a name"),
        (
            lambda: CHARGE.accepts(ChargeCard("o", 1.0), source=WEB, time=datetime(2026, 1, 1)),  # noqa: DTZ001
            "time: expected an RFC 3339 time with an offset",
        ),
    ],
)
def test_an_invalid_event_names_the_field_and_the_expected_value(
    make: Callable[[], object], message: str
) -> None:
    """The sender learns it before anything is sent."""
    with pytest.raises(Violated) as caught:
        make()

    assert message in str(caught.value)


def test_addresses_and_subjects_are_encoded_once() -> None:
    """B26: an event built from the attributes of another one has the same."""
    first = CHARGE.accepts(ChargeCard("o", 1.0), source="com.a b.c", subject="my run", to="a b")
    second = CHARGE.accepts(
        ChargeCard("o", 1.0), source=first.source, subject=first.subject, to=first.to
    )

    assert (first.source, first.subject, first.to) == ("com.a%20b.c", "my%20run", "a%20b")
    assert (second.source, second.subject, second.to) == (first.source, first.subject, first.to)


def test_ids_and_times_may_be_given() -> None:
    """The sender may choose both."""
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    event = CHARGE.accepts(ChargeCard("o", 1.0), source=WEB, id=Managed("o"), time=when)
    read = ManagedId.parse(event.id)

    assert event.time == TIME
    assert read is not None
    assert read.value == "o"


def test_the_completion_of_a_child_goes_to_its_parent() -> None:
    """B22: the TypeScript packages send it to the initiator of the parent."""
    event = ORDER.init(PlaceOrder("o"), source=PARENT.orchestrator.name, parent=PARENT)

    child = Subject.parse(event.subject)
    assert child.answers_to == "arvo.orc.shop.day"
    assert (child.execution.initiator, child.execution.domain) == ("arvo.orc.shop.day", "eu")
    assert event.raw["parentSubject$$"] == str(PARENT)
    assert event.data == PlaceOrder("o")


def test_a_child_does_not_inherit_the_return_address_of_its_parent() -> None:
    """B23: the inherited address sent its completion to the wrong workflow. Other meta is
    inherited.
    """
    parent = Subject.new(
        "arvo.orc.shop.day", "2.0.0", initiator=WEB, meta={"redirectto": WEB, "tenant": "t"}, id="1"
    )

    event = ORDER.init(PlaceOrder("o"), source=WEB, parent=parent)
    redirected = ORDER.init(PlaceOrder("o"), source=WEB, parent=parent, redirectto="com.other.one")

    assert Subject.parse(event.subject).meta == {"redirectto": "arvo.orc.shop.day", "tenant": "t"}
    assert Subject.parse(redirected.subject).answers_to == "com.other.one"


def test_a_mapping_may_name_its_parent_as_the_wire_does() -> None:
    """An imported contract has no class, so its payloads are mappings."""
    loose = OrchestratorContract(
        uri="#/o",
        name="order.loose",
        versions={"1.0.0": Workflow(init={"type": "object"}, complete={"type": "object"})},
    )["1.0.0"]

    event = loose.init({"a": 1, "parentSubject$$": str(PARENT)}, source=WEB)

    assert event.raw == {"a": 1, "parentSubject$$": str(PARENT)}
    assert Subject.parse(event.subject).answers_to == "arvo.orc.shop.day"
    with pytest.raises(Violated):
        loose.init({"parentSubject$$": 5}, source=WEB)


def test_a_completion_is_an_event_of_the_workflow() -> None:
    """A workflow completes with an event of its own contract."""
    event = ORDER.complete(OrderFulfilled("t"), source="arvo.orc.order.fulfil", to=WEB)

    assert (event.type, event.to) == ("arvo.orc.order.fulfil.done", WEB)
    assert event.data == OrderFulfilled("t")


def test_an_event_has_the_defaults_of_the_schema_and_no_unknown_keys() -> None:
    """B29: the data that was validated was not the data that was sent."""
    schema: dict[str, Any] = {"properties": {"n": {"default": 3}}, "required": ["n"]}
    loose = Contract(uri="#/l", type="com.a.b", versions={"1.0.0": Version(accepts=schema)})

    event = loose["1.0.0"].accepts({"other": 1}, source=WEB)

    assert event.raw == event.data == {"n": 3}
