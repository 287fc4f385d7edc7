"""Events, subjects, contracts and domains, compared with those of the TypeScript packages."""

from typing import Any

import pytest

from arvo import Dataschema, Event, Subject, Violated
from arvo.core.events.domain import DomainContext, resolve_domain
from tests.parity.recordings import MASKED, load_cases, make_contract

Case = dict[str, Any]


@pytest.mark.parametrize("case", load_cases("events.jsonl"))
def test_an_event_is_encoded_or_refused_as_recorded(case: Case) -> None:
    """Services in both languages share the wire format, key for key."""
    content = {**case["context"], "data": case["data"], **(case["extensions"] or {})}
    # Event types of two segments are the one deliberate difference.
    mutated = (case["mutation"] or [None])[0]
    valid = case["valid"] or case["mutation"] == ["type", "two.parts"]

    if not valid:
        with pytest.raises(Violated) as caught:
            Event.from_dict(content)
        paths = [issue.path for issue in caught.value.violation.issues]
        named = {"extensions": "extensions."}.get(mutated, mutated)
        assert any(path.startswith(named) for path in paths), (mutated, paths)
        return

    event = Event.from_dict(content)
    assert Event.parse(event.to_json()) == event
    if case["valid"]:
        assert event.to_dict() == case["json"]
        assert list(event.to_dict()) == list(case["json"])
        assert event.otel_attributes == case["otel"]


@pytest.mark.parametrize("case", load_cases("subjects.jsonl"))
def test_a_subject_is_read_or_refused_as_recorded(case: Case) -> None:
    """Services in both languages read the subjects of the other."""
    if not case["valid"]:
        with pytest.raises(Violated):
            Subject.parse(case["subject"]) if "subject" in case else Subject.from_dict(
                case["content"]
            )
        return

    subject = Subject.parse(case["subject"])
    assert subject.to_dict() == case["content"]
    assert Subject.from_dict(case["content"]) == subject
    assert Subject.parse(str(subject)) == subject


@pytest.mark.parametrize("case", load_cases("subject_from.jsonl"))
def test_a_child_subject_is_derived_as_recorded(case: Case) -> None:
    """Domain and meta are inherited, the initiator is the parent."""
    domain = None if case["domain"] == "<absent>" else case["domain"]

    child = Subject.parse(case["parent"]).child(
        case["name"], case["version"], domain=domain, meta=case["meta"] or {}, id="run"
    )

    content = child.to_dict()
    content["execution"]["id"] = MASKED
    assert content == case["expect"]


@pytest.mark.parametrize("case", load_cases("contracts.jsonl"))
def test_a_contract_orders_its_versions_as_recorded(case: Case) -> None:
    """Version 10 comes after version 9."""
    contract = make_contract(case["contract"])

    latest = contract.version("latest")
    assert latest.version == case["latest"]
    assert contract.version("any").version == case["any"]
    assert contract.version("oldest").version == case["oldest"]
    assert latest.dataschema == case["dataschema"]
    assert contract.system_error_type == case["systemError"]
    assert latest.system_error_dataschema == case["systemErrorDataschema"]


@pytest.mark.parametrize("case", load_cases("dataschemas.jsonl"))
def test_a_dataschema_is_read_as_recorded(case: Case) -> None:
    """It must end in a version."""
    parsed = Dataschema.parse(case["dataschema"])

    content = None if parsed is None else {"uri": parsed.uri, "version": parsed.version}
    assert content == case["parsed"]


@pytest.mark.parametrize("case", load_cases("domains.jsonl"))
def test_a_domain_is_resolved_as_recorded(case: Case) -> None:
    """The cases combine rules, subjects, contracts and triggering events."""
    contract = case["eventContract"]
    context = DomainContext(
        self_contract=case["selfContractDomain"],
        event_contract=None if contract is None else contract["domain"],
        triggering=case["triggeringDomain"],
        subject=case["currentSubject"],
        parent=case["parentSubject"],
    )

    assert resolve_domain(case["domain"], context) == case["expect"]
