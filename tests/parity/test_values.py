"""Events, subjects, contracts and domains as the reference has them (recorded)."""

from typing import Any

import pytest

from arvo import Dataschema, Event, Subject, Violated
from arvo.core.events.domain import DomainContext, resolve_domain
from tests.parity.recordings import MASKED, cases, contract_of

Case = dict[str, Any]


@pytest.mark.parametrize("case", cases("events.jsonl"))
def test_an_event_is_said_and_refused_as_the_reference_does(case: Case) -> None:
    """Systems in both languages share the wire, key for key."""
    content = {**case["context"], "data": case["data"], **(case["extensions"] or {})}
    # Types of two segments are the one deliberate difference.
    mutated = (case["mutation"] or [None])[0]
    valid = case["valid"] or case["mutation"] == ["type", "two.parts"]

    if not valid:
        with pytest.raises(Violated) as refused:
            Event.from_dict(content)
        paths = [issue.path for issue in refused.value.violation.issues]
        named = {"extensions": "extensions."}.get(mutated, mutated)
        assert any(path.startswith(named) for path in paths), (mutated, paths)
        return

    event = Event.from_dict(content)
    assert Event.parse(event.to_json()) == event
    if case["valid"]:
        assert event.to_dict() == case["json"]
        assert list(event.to_dict()) == list(case["json"])
        assert event.otel_attributes == case["otel"]


@pytest.mark.parametrize("case", cases("subjects.jsonl"))
def test_a_subject_is_read_and_refused_as_the_reference_does(case: Case) -> None:
    """A workflow's identity is made on one side and read on the other."""
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


@pytest.mark.parametrize("case", cases("subject_from.jsonl"))
def test_a_child_subject_is_derived_as_the_reference_does(case: Case) -> None:
    """Domain and meta are inherited, the initiator is the parent."""
    domain = None if case["domain"] == "<absent>" else case["domain"]

    child = Subject.parse(case["parent"]).child(
        case["name"], case["version"], domain=domain, meta=case["meta"] or {}, id="run"
    )

    said = child.to_dict()
    said["execution"]["id"] = MASKED
    assert said == case["expect"]


@pytest.mark.parametrize("case", cases("contracts.jsonl"))
def test_a_contract_names_its_versions_as_the_reference_does(case: Case) -> None:
    """Version 10 comes after version 9."""
    contract = contract_of(case["contract"])

    latest = contract.version("latest")
    assert latest.version == case["latest"]
    assert contract.version("any").version == case["any"]
    assert contract.version("oldest").version == case["oldest"]
    assert latest.dataschema == case["dataschema"]
    assert contract.system_error_type == case["systemError"]
    assert latest.system_error_dataschema == case["systemErrorDataschema"]


@pytest.mark.parametrize("case", cases("dataschemas.jsonl"))
def test_a_dataschema_is_read_as_the_reference_does(case: Case) -> None:
    """It ends in a version, or it is none."""
    parsed = Dataschema.parse(case["dataschema"])

    said = None if parsed is None else {"uri": parsed.uri, "version": parsed.version}
    assert said == case["parsed"]


@pytest.mark.parametrize("case", cases("domains.jsonl"))
def test_a_domain_is_resolved_as_the_reference_does(case: Case) -> None:
    """Every combination of rule, subjects, contracts and trigger."""
    contract = case["eventContract"]
    context = DomainContext(
        self_contract=case["selfContractDomain"],
        event_contract=None if contract is None else contract["domain"],
        triggering=case["triggeringDomain"],
        subject=case["currentSubject"],
        parent=case["parentSubject"],
    )

    assert resolve_domain(case["domain"], context) == case["expect"]
