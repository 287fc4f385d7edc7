"""Domain: the external domain that an event leaves the system for, by name or by rule."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum, nonmember
from typing import Final, TypeAlias, final

from attrs import define

from arvo.core.events.subject import Subject
from arvo.core.violations.violation import Violated


@final
class Domain(StrEnum):
    """Rules that are resolved to a domain when the event is built; the values are the wire's.

    `LOCAL` is None: the event stays inside the system.
    """

    FROM_SELF_CONTRACT = "domain.contract.self.inherit"
    FROM_EVENT_CONTRACT = "domain.contract.inherit"
    FROM_TRIGGERING_EVENT = "domain.event.inherit"
    FROM_CURRENT_SUBJECT = "domain.event.current.subject"
    FROM_PARENT_SUBJECT = "domain.parent.subject"
    ORCHESTRATION_CONTEXT = "domain.orchestration.context"

    LOCAL = nonmember(None)


# A name, a rule, or None: the event stays inside.
DomainRule: TypeAlias = str | None


@final
@define
class DomainContext:
    """The values that the rules refer to.

    *self_contract*, *event_contract*, *triggering*: the domains of the handler's contract, of the
    emitted event's contract, and of the consumed event. *subject*, *parent*: the subjects of the
    workflow and of its parent, as on the wire.
    """

    self_contract: str | None
    event_contract: str | None
    triggering: str | None
    subject: str | None
    parent: str | None = None


def resolve_domains(rules: Iterable[DomainRule], context: DomainContext) -> tuple[str | None, ...]:
    """Resolve rules to domains: each distinct domain once, in order of first appearance."""
    return tuple(dict.fromkeys([resolve_domain(rule, context) for rule in rules]))


def resolve_rules(rules: Iterable[DomainRule], context: DomainContext) -> tuple[str | None, ...]:
    """Resolve each distinct rule to a domain; two rules may resolve to the same one.

    A workflow's requests and its completion are addressed this way, as in the TypeScript packages.
    """
    return tuple([resolve_domain(rule, context) for rule in dict.fromkeys(rules)])


def resolve_domain(rule: DomainRule, context: DomainContext) -> str | None:
    """Resolve one rule to a domain; None means that the event stays inside.

    >>> resolve_domain("human.review", DomainContext(None, None, None, None))
    'human.review'
    """
    if rule is None or rule == "":
        return None
    unchecked: object = rule
    resolve = _RESOLVERS.get(rule) if isinstance(unchecked, str) else None
    # A value that is not a string is returned as it is: building the event reports it.
    return rule if resolve is None else resolve(context)


def _orchestration_domain(context: DomainContext) -> str | None:
    """Reply in the domain of the requester, unless the request came from inside it."""
    current = _subject_domain(context.subject)
    if context.parent is not None:
        parent = _subject_domain(context.parent)
        return None if current == parent else parent
    if context.triggering is None or current == context.triggering:
        return None
    return current


def _subject_domain(subject: str | None) -> str | None:
    if subject is None:
        return None
    try:
        return Subject.parse(subject).execution.domain
    except Violated:
        # A foreign subject, which names no domain.
        return None


_RESOLVERS: Final[Mapping[str, Callable[[DomainContext], str | None]]] = {
    Domain.FROM_SELF_CONTRACT: lambda context: context.self_contract,
    Domain.FROM_EVENT_CONTRACT: lambda context: context.event_contract,
    Domain.FROM_TRIGGERING_EVENT: lambda context: context.triggering,
    Domain.FROM_CURRENT_SUBJECT: lambda context: _subject_domain(context.subject),
    Domain.FROM_PARENT_SUBJECT: lambda context: _subject_domain(context.parent),
    Domain.ORCHESTRATION_CONTEXT: _orchestration_domain,
}
