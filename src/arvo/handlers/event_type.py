"""Naming: which event an `Emit` means."""

from collections.abc import Iterable, Mapping

from arvo.core.command import Emit
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ContractViolation, Violation


def named(
    emit: Emit, fitting: tuple[str, ...], known: Mapping[str, object], whose: str
) -> str | Violation:
    """Find the event type that an `Emit` means, or say why none.

    *fitting* are the types that carry payloads of its class, *known* all that may be named, *whose*
    names the contract.
    """
    if emit.type is not None:
        if emit.type in tuple(known):
            return emit.type
        issue = Issue("type", _listed(known), repr(emit.type))
        return ContractViolation(f"no such event is named by {whose}", issue)
    match fitting:
        case (only,):
            return only
        case ():
            issue = Issue("payload", f"that of {_listed(known)}", type(emit.payload).__name__)
            return ContractViolation(f"no event with such a payload is named by {whose}", issue)
        case several:
            issue = Issue("type", _listed(several), "nothing")
            return ContractViolation(f"several events of {whose} have this payload", issue)


def _listed(types: Iterable[str]) -> str:
    listed = sorted(types)
    return f"one of {', '.join(listed)}" if listed else "no event at all"
