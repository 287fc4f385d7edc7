"""Domain: rules that become the name of an outside world."""

from typing import Any

import pytest

from arvo import Domain, Subject
from arvo.core.events.domain import DomainContext, resolve_domain, resolve_domains, resolve_each

IN_EU = str(Subject.new("a.b.c", None, initiator="x.y.z", domain="eu", id="1"))
CONTEXT = DomainContext("self", "event", "trigger", IN_EU, None)


def test_each_distinct_domain_comes_once_in_order() -> None:
    """F085: deduplicated after the rules are resolved."""
    rules = ("b", Domain.FROM_SELF_CONTRACT, None, "self", "b", Domain.LOCAL)

    assert resolve_domains(rules, CONTEXT) == ("b", "self", None)
    assert resolve_each(rules, CONTEXT) == ("b", "self", None, "self")


@pytest.mark.parametrize("subject", [None, "junk", "%%"])
def test_a_subject_that_is_none_has_no_domain(subject: str | None) -> None:
    """F083: a stranger's subject must not break an answer."""
    context = DomainContext(None, None, "t", subject, None)

    assert resolve_domain(Domain.FROM_CURRENT_SUBJECT, context) is None
    assert resolve_domain(Domain.ORCHESTRATION_CONTEXT, context) is None


def test_an_answer_stays_inside_where_the_question_came_from_the_same_domain() -> None:
    """F084."""
    rule = Domain.ORCHESTRATION_CONTEXT
    inside = DomainContext(None, None, "eu", IN_EU, None)

    assert resolve_domain(rule, CONTEXT) == "eu"
    assert resolve_domain(rule, inside) is None


def test_what_is_no_rule_does_not_silently_stay_inside() -> None:
    """Nothing is dropped silently (I8): the event then refuses it and names it."""
    wrong: Any = 5
    resolved: Any = resolve_domain(wrong, CONTEXT)

    assert resolved == 5
