"""Contract: its rules, its versions, and its export as JSON."""

import copy
import json
from typing import Any

import attrs
import pytest

from arvo import Contract, OrchestratorContract, SimpleContract, Version, Violated, Workflow
from tests.shop import (
    CardCharged,
    CardDeclined,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    charge,
    order,
)

ONE: dict[str, Version[Any]] = {"1.0.0": Version(accepts=ChargeCard)}


# What type checkers refuse.
BOTH: Any = ChargeCard | CardCharged


def error_for(**arguments: Any) -> str:
    with pytest.raises(Violated) as caught:
        Contract(**{"uri": "#/a", "type": "com.a.b", "versions": ONE, **arguments})
    return str(caught.value)


@attrs.define
class Changeable:
    n: int


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"uri": ""}, "uri: expected an encoded URI such as #/contracts/user, got ''"),
        ({"uri": "a b"}, "uri: expected an encoded URI such as #/contracts/user, got 'a b'"),
        ({"type": "Com.a"}, "type: expected lower-case segments and dots, such as com.user.create"),
        ({"type": "single"}, "type: expected lower-case segments"),
        ({"type": "arvo.orc.x"}, "type: expected no type of arvo.orc (use OrchestratorContract)"),
        ({"versions": {}}, "versions: expected at least one version, got none"),
        ({"versions": {"1.0": ONE["1.0.0"]}}, "versions.1.0: expected a version such as 1.0.0"),
        ({"versions": {"0.0.0": ONE["1.0.0"]}}, "versions.0.0.0: expected a version such as 1.0.0"),
        ({"domain": "EU"}, "domain: expected lower-case letters, digits, dots, or nothing"),
        (
            {"versions": {"1.0.0": Version(accepts=ChargeCard, emits={"arvo.orc.x": CardCharged})}},
            "emits: expected no type of arvo.orc",
        ),
        (
            {"versions": {"1.0.0": Version(accepts=ChargeCard, emits=CardCharged)}},
            "emits: expected a mapping of event types to payloads (or a SimpleContract), got Card",
        ),
        (
            {"versions": {"1.0.0": Version(accepts=Changeable)}},
            "versions.1.0.0.accepts: expected a payload class or a JSON Schema, got Change",
        ),
        (
            {"versions": {"1.0.0": Version(accepts=ChargeCard, emits={"a.b": {"type": "array"}})}},
            "versions.1.0.0.emits.a.b: expected a payload class or a JSON Schema",
        ),
        (
            {"versions": {"1.0.0": Version(accepts=BOTH, emits={})}},
            "a JSON Schema: only the completion of a workflow is one of several, got",
        ),
    ],
)
def test_an_invalid_contract_names_the_field_and_the_expected_value(
    arguments: dict[str, Any], message: str
) -> None:
    """Authors of contracts learn the rules from the messages."""
    assert message in error_for(**arguments)


def test_all_invalid_fields_are_named_at_once() -> None:
    """The author can fix them in one go."""
    message = error_for(uri="", type="X", versions={}, domain="EU")

    assert all(field in message for field in ("uri:", "type:", "versions:", "domain:"))


@pytest.mark.parametrize("name", ["arvo.orchard.create", "arvo.orca", "arvo.orchid.water.daily"])
def test_a_type_that_only_starts_like_a_workflow_type_is_allowed(name: str) -> None:
    """B24: `arvo.orchard.create` was refused, because its prefix looked like `arvo.orc`."""
    assert Contract(uri="#/a", type=name, versions=ONE).type == name


def test_versions_are_found_by_number_and_by_alias() -> None:
    """Versions are ordered by number: 10 comes after 9."""
    contract = Contract(
        uri="#/a",
        type="com.a.b",
        versions=dict.fromkeys(("9.0.0", "10.0.0", "1.2.3"), ONE["1.0.0"]),
    )

    assert contract.sorted_versions == ("1.2.3", "9.0.0", "10.0.0")
    assert contract.version("latest") is contract.version("any") is contract["10.0.0"]
    assert contract.version("oldest") is contract["1.2.3"]
    with pytest.raises(Violated, match=r"version: expected one of 1\.2\.3, 9\.0\.0, 10\.0\.0, got"):
        contract["2.0.0"]


@pytest.mark.parametrize(
    ("contract", "name"), [(charge, "accepts"), (charge, "emits"), (order, "init")]
)
def test_an_attribute_of_a_version_on_the_contract_names_the_remedy(
    contract: Contract[Any], name: str
) -> None:
    """Forgetting the version is a common mistake."""
    with pytest.raises(AttributeError) as caught:
        getattr(contract, name)

    assert str(caught.value) == (
        f'a contract has no {name!r}, only its versions have: write contract["1.0.0"].{name}'
    )


def test_an_unknown_attribute_of_a_contract_is_an_ordinary_attribute_error() -> None:
    """Copying and pickling ask for attributes of the object protocol."""
    assert not hasattr(charge, "init")
    with pytest.raises(AttributeError, match="'Contract' object has no attribute 'other'"):
        _ = charge.other  # type: ignore[attr-defined]
    assert copy.copy(charge) == charge


def test_the_exported_document_has_the_shape_of_the_typescript_packages_and_a_type() -> None:
    """B40: without the type a client does not know the address."""
    document = charge.json_schema()

    assert {**document, "versions": []} == {
        "uri": "#/contracts/payment/charge",
        "type": "com.payment.charge",
        "domain": None,
        "description": None,
        "metadata": {},
        "versions": [],
    }
    (version,) = document["versions"]
    assert list(version) == ["version", "domain", "metadata", "accepts", "systemError", "emits"]
    assert version["accepts"]["type"] == "com.payment.charge"
    assert set(version["accepts"]["schema"]["required"]) == {"order_id", "amount"}
    assert version["systemError"]["type"] == "sys.com.payment.charge.error"
    assert [event["type"] for event in version["emits"]] == [
        "evt.payment.charged",
        "evt.payment.declined",
    ]


simple = SimpleContract(
    uri="#/simple",
    type="user.validate",
    domain="eu",
    description="validates a user",
    metadata={"owner": "team"},
    versions={"1.0.0": Version(accepts=ChargeCard, emits=CardCharged)},
)


def test_a_simple_contract_is_named_after_its_root() -> None:
    """The TypeScript packages derive the same types and metadata."""
    assert simple.type == "com.user.validate"
    assert list(simple["1.0.0"].emitted) == ["evt.user.validate.success"]
    assert simple.metadata == {
        "owner": "team",
        "contractType": "SimpleArvoContract",
        "rootType": "user.validate",
    }


def test_an_orchestrator_contract_derives_its_types_from_its_name() -> None:
    """Its init event also names the parent workflow."""
    version = order["1.0.0"]

    assert (order.name, order.type) == ("order.fulfil", "arvo.orc.order.fulfil")
    assert version.complete_type == "arvo.orc.order.fulfil.done"
    assert order.system_error_type == "sys.arvo.orc.order.fulfil.error"
    assert "parentSubject$$" in version.accepted.schema["required"]
    with pytest.raises(Violated, match="type: expected lower-case segments"):
        OrchestratorContract(
            uri="#/o",
            name="Order",
            versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled)},
        )


@pytest.mark.parametrize("contract", [charge, simple, order], ids=["plain", "simple", "workflow"])
def test_a_contract_round_trips_through_its_document(contract: Contract[Any]) -> None:
    """Another service can use it without the Python classes."""
    document = contract.json_schema()

    read = Contract.from_json_schema(document)

    assert type(read) is type(contract)
    assert read.json_schema() == document
    assert Contract.from_json_schema(read.json_schema()) == read


def test_a_document_without_a_type_takes_that_of_the_accepted_event() -> None:
    """B40: the TypeScript packages export none."""
    document = charge.json_schema()
    del document["type"]

    assert Contract.from_json_schema(document).type == "com.payment.charge"


EVENT = {"type": "com.a.b", "schema": {}}
DOCUMENT = {"uri": "#/a", "versions": [{"version": "1.0.0", "accepts": EVENT, "emits": []}]}
WORKFLOW = {"contractType": "ArvoOrchestratorContract", "rootType": "a.b"}


def with_schema(schema: object, metadata: object = None) -> dict[str, Any]:
    version = {"version": "1.0.0", "accepts": {**EVENT, "schema": schema}, "emits": [EVENT]}
    return {"uri": "#/a", "metadata": metadata, "versions": [version]}


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (None, "contract"),
        ([], "contract"),
        ({}, "contract.uri"),
        ({"uri": "#/a"}, "contract.versions"),
        ({"uri": "#/a", "versions": []}, "contract.versions"),
        ({"uri": "#/a", "versions": {}}, "contract.versions"),
        ({"uri": "#/a", "versions": [{}]}, "contract.versions[0].version"),
        ({**DOCUMENT, "type": 5}, "contract.type"),
        ({**DOCUMENT, "type": "X"}, "type"),
        ({**DOCUMENT, "metadata": 5}, "contract.metadata"),
        ({**DOCUMENT, "metadata": WORKFLOW}, "contract.versions.1.0.0.emits"),
        (with_schema({"type": "array"}), "versions.1.0.0.accepts"),
        (with_schema({"properties": 5}), "versions.1.0.0.accepts"),
        (with_schema({"$ref": "#/nowhere"}), "versions.1.0.0.accepts"),
        (with_schema({"$ref": "http://example.com/schema"}), "versions.1.0.0.accepts"),
        (with_schema({"properties": 5}, WORKFLOW), "versions.1.0.0.init"),
        (with_schema({"required": 5}, WORKFLOW), "versions.1.0.0.init"),
    ],
)
def test_an_invalid_document_names_the_field(document: object, path: str) -> None:
    """Documents come from other services: no KeyError, no StopIteration, no network access."""
    with pytest.raises(Violated) as caught:
        Contract.from_json_schema(document)

    assert path in [issue.path for issue in caught.value.violation.issues]


def test_an_event_type_follows_from_the_payload_class() -> None:
    """A handler need not name the types of its events."""
    assert charge["1.0.0"].types_of(CardDeclined("no")) == ("evt.payment.declined",)


@pytest.mark.parametrize("kind", [5, None, {}, True])
def test_a_document_with_an_invalid_schema_type_is_refused(kind: Any) -> None:
    """Documents come from other services."""
    document = {
        "uri": "#/x",
        "versions": [
            {
                "version": "1.0.0",
                "accepts": {"type": "com.x.y", "schema": {"type": kind}},
                "emits": [],
            }
        ],
    }

    with pytest.raises(Violated):
        Contract.from_json_schema(document)


def test_a_contract_is_read_from_text_without_changing_a_number() -> None:
    """Another parser would move the bound of a field."""
    text = json.dumps(charge.json_schema())
    wide = text.replace('"description": null', f'"description": {2**64}', 1)

    with pytest.raises(Violated, match=r"contract\.description: expected an integer from"):
        Contract.from_json_schema(wide)
    assert Contract.from_json_schema(text) == Contract.from_json_schema(charge.json_schema())
