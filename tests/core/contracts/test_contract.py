"""Contract: what can be one, and what it exports."""

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


def refusal(**terms: Any) -> str:
    with pytest.raises(Violated) as refused:
        Contract(**{"uri": "#/a", "type": "com.a.b", "versions": ONE, **terms})
    return str(refused.value)


@attrs.define
class Changeable:
    n: int


@pytest.mark.parametrize(
    ("terms", "told"),
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
            "versions.1.0.0.accepts: expected an attrs.frozen class or a JSON Schema, got Change",
        ),
        (
            {"versions": {"1.0.0": Version(accepts=ChargeCard, emits={"a.b": {"type": "array"}})}},
            "versions.1.0.0.emits.a.b: expected an attrs.frozen class or a JSON Schema",
        ),
    ],
)
def test_a_contract_that_cannot_be_says_which_field_and_what_would_do(
    terms: dict[str, Any], told: str
) -> None:
    """F044-F046: whoever writes contracts learns the rules from the refusals."""
    assert told in refusal(**terms)


def test_every_wrong_field_is_named_at_once() -> None:
    """One run, all mistakes."""
    told = refusal(uri="", type="X", versions={}, domain="EU")

    assert [each in told for each in ("uri:", "type:", "versions:", "domain:")] == [True] * 4


@pytest.mark.parametrize("name", ["arvo.orchard.create", "arvo.orca", "arvo.orchid.water.daily"])
def test_a_type_that_only_begins_like_a_workflows_is_free(name: str) -> None:
    """B24: `arvo.orchard.create` is a fine name."""
    assert Contract(uri="#/a", type=name, versions=ONE).type == name


def test_versions_are_found_by_number_and_by_rank() -> None:
    """F049: 10 comes after 9."""
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


def test_the_exported_document_has_the_references_shape_and_the_type() -> None:
    """F052-F054, B40: without the type nobody knows where to send."""
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
    assert [each["type"] for each in version["emits"]] == [
        "evt.payment.charged",
        "evt.payment.declined",
    ]


simple = SimpleContract(
    uri="#/simple",
    type="user.validate",
    domain="eu",
    description="says who",
    metadata={"owner": "team"},
    versions={"1.0.0": Version(accepts=ChargeCard, emits=CardCharged)},
)


def test_a_simple_contract_is_named_after_its_root() -> None:
    """F055."""
    assert simple.type == "com.user.validate"
    assert list(simple["1.0.0"].emitted) == ["evt.user.validate.success"]
    assert simple.metadata == {
        "owner": "team",
        "contractType": "SimpleArvoContract",
        "rootType": "user.validate",
    }


def test_an_orchestrators_contract_is_named_after_its_name() -> None:
    """F056, F057: its init says on whose behalf it runs."""
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
def test_a_contract_comes_back_from_its_document(contract: Contract[Any]) -> None:
    """Another service builds on it without our classes."""
    document = contract.json_schema()

    read = Contract.from_json_schema(document)

    assert type(read) is type(contract)
    assert read.json_schema() == document
    assert Contract.from_json_schema(read.json_schema()) == read


def test_a_document_of_the_reference_has_its_type_in_the_accepted_event() -> None:
    """B40: it exports none."""
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
def test_a_document_that_is_no_contract_says_where(document: object, path: str) -> None:
    """It comes from elsewhere: no KeyError, no StopIteration, no look at the network."""
    with pytest.raises(Violated) as refused:
        Contract.from_json_schema(document)

    assert path in [issue.path for issue in refused.value.violation.issues]


def test_a_decline_is_an_event_of_the_contract() -> None:
    """Two types, two classes: the type follows from the class."""
    assert charge["1.0.0"].types_of(CardDeclined("no")) == ("evt.payment.declined",)


@pytest.mark.parametrize("kind", [5, None, {}, True])
def test_a_document_whose_schema_has_no_sane_type_is_refused(kind: Any) -> None:
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
