"""EventType: resolves the event type of an `Emit`."""

from collections.abc import Iterable, Mapping
from types import NoneType

from arvo.core.command import Emit
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ContractViolation, Violation


def resolve_event_type(
    emit: Emit, candidates: tuple[str, ...], known: Mapping[str, object], owner: str
) -> str | Violation:
    """Return the event type of an `Emit`, or a violation where it is unknown or ambiguous.

    *candidates* are the types that carry payloads of its class, *known* all types that it may name.
    *owner* names the contract in messages.
    """
    if emit.type is not None:
        name: object = emit.type
        if isinstance(name, str) and name in known:
            return name
        issue = Issue("type", _one_of(known), repr(emit.type))
        return ContractViolation(f"{owner} names no such event", issue)
    match candidates:
        case (only,):
            return only
        case ():
            expected = f"the payload of {_one_of(known)}"
            kind = type(emit.payload)
            got = short_repr(emit.payload) if kind in (type, NoneType) else kind.__name__
            issue = Issue("payload", expected, got)
            return ContractViolation(f"{owner} names no event with this payload", issue)
        case _:
            issue = Issue("type", _one_of(candidates), "nothing")
            return ContractViolation(f"several events of {owner} have this payload", issue)


def _one_of(types: Iterable[str]) -> str:
    names = sorted(types)
    return f"one of {', '.join(names)}" if names else "no event at all"
