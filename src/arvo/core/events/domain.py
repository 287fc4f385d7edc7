"""Domain: where an event leaves the system, said by name or by rule."""

from collections.abc import Iterable
from enum import StrEnum, nonmember
from typing import TypeAlias, final

from attrs import frozen

from arvo.core.events.subject import Subject
from arvo.core.violations.violation import Violated


@final
class Domain(StrEnum):
    """Rules that become a domain when the event is made (reference F082); values are the wire's.

    `LOCAL` is None: the event stays inside.
    """

    FROM_SELF_CONTRACT = "domain.contract.self.inherit"
    FROM_EVENT_CONTRACT = "domain.contract.inherit"
    FROM_TRIGGERING_EVENT = "domain.event.inherit"
    FROM_CURRENT_SUBJECT = "domain.event.current.subject"
    FROM_PARENT_SUBJECT = "domain.parent.subject"
    ORCHESTRATION_CONTEXT = "domain.orchestration.context"

    LOCAL = nonmember(None)


# A name, a rule, or None for "stays inside".
DomainRule: TypeAlias = str | None


@final
@frozen
class DomainContext:
    """What the rules look at: who is emitting, why, and on whose behalf.

    *self_contract*, *event_contract*, *triggering*: domains of the handler's contract, of the
    emitted event's contract, and of the consumed event. *subject*, *parent*: subjects on the wire.
    """

    self_contract: str | None
    event_contract: str | None
    triggering: str | None
    subject: str | None
    parent: str | None = None


def resolve_domains(rules: Iterable[DomainRule], context: DomainContext) -> tuple[str | None, ...]:
    """Turn rules into domains: each distinct one once, in order of first appearance (F085)."""
    return tuple(dict.fromkeys(resolve_domain(rule, context) for rule in rules))


def resolve_each(rules: Iterable[DomainRule], context: DomainContext) -> tuple[str | None, ...]:
    """Turn each distinct rule into a domain, which may come out the same for two of them.

    What a workflow requests and completes with is addressed so, as the reference records it.
    """
    return tuple(resolve_domain(rule, context) for rule in dict.fromkeys(rules))


def resolve_domain(rule: DomainRule, context: DomainContext) -> str | None:
    """Turn one rule into a domain, None for "stays inside" (reference F083, F084).

    >>> resolve_domain("human.review", DomainContext(None, None, None, None))
    'human.review'
    """
    match rule:
        case None | "":
            return None
        case Domain.FROM_SELF_CONTRACT:
            return context.self_contract
        case Domain.FROM_EVENT_CONTRACT:
            return context.event_contract
        case Domain.FROM_TRIGGERING_EVENT:
            return context.triggering
        case Domain.FROM_CURRENT_SUBJECT:
            return _domain_of(context.subject)
        case Domain.FROM_PARENT_SUBJECT:
            return _domain_of(context.parent)
        case Domain.ORCHESTRATION_CONTEXT:
            return _of_orchestration(context)
        case other:
            # What is no text is left to the event, which names the field and what it got.
            return other


def _of_orchestration(context: DomainContext) -> str | None:
    """Answer in the domain of whoever asked, unless the question came from inside it (F084)."""
    current = _domain_of(context.subject)
    if context.parent is not None:
        parent = _domain_of(context.parent)
        return None if current == parent else parent
    if context.triggering is None or current == context.triggering:
        return None
    return current


def _domain_of(subject: str | None) -> str | None:
    if subject is None:
        return None
    try:
        return Subject.parse(subject).execution.domain
    except Violated:
        # A subject of somebody else's making has no domain that we know of.
        return None
