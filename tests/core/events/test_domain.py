"""Domain: rules that resolve to the name of an external domain."""

from typing import Any

import pytest

from arvo import Domain, Subject
from arvo.core.events.domain import DomainContext, resolve_domain, resolve_domains, resolve_rules

IN_EU = str(Subject.new("a.b.c", None, initiator="x.y.z", domain="eu", id="1"))
CONTEXT = DomainContext("self", "event", "trigger", IN_EU, None)


def test_each_distinct_domain_is_returned_once_in_order() -> None:
    """Two rules may resolve to one domain, which gets one event."""
    rules = ("b", Domain.FROM_SELF_CONTRACT, None, "self", "b", Domain.LOCAL)

    assert resolve_domains(rules, CONTEXT) == ("b", "self", None)
    assert resolve_rules(rules, CONTEXT) == ("b", "self", None, "self")


@pytest.mark.parametrize("subject", [None, "junk", "%%"])
def test_an_unreadable_subject_has_no_domain(subject: str | None) -> None:
    """A foreign subject must not break a reply."""
    context = DomainContext(None, None, "t", subject, None)

    assert resolve_domain(Domain.FROM_CURRENT_SUBJECT, context) is None
    assert resolve_domain(Domain.ORCHESTRATION_CONTEXT, context) is None


def test_a_reply_stays_inside_if_the_request_came_from_the_same_domain() -> None:
    """The rule for orchestrations leaves the domain only towards another one."""
    rule = Domain.ORCHESTRATION_CONTEXT
    inside = DomainContext(None, None, "eu", IN_EU, None)

    assert resolve_domain(rule, CONTEXT) == "eu"
    assert resolve_domain(rule, inside) is None


@pytest.mark.promise("I8")
def test_an_invalid_rule_does_not_silently_stay_inside() -> None:
    """Nothing is dropped silently (I8): building the event reports the value."""
    wrong: Any = 5
    resolved: Any = resolve_domain(wrong, CONTEXT)

    assert resolved == 5
