"""Check: the rules for the uri, types, versions, domain and payloads of a contract."""

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Final, TypeVar, cast

from attrs import fields

from arvo.core.contracts.version_spec import JsonSchema
from arvo.core.events.dataschema import WILDCARD, is_version
from arvo.core.events.envelope import is_event_type
from arvo.core.events.subject import is_domain
from arvo.core.events.uri import is_uri
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.classes import PayloadError
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated

A = TypeVar("A")

ORCHESTRATOR_PREFIX: Final = "arvo.orc"


def check_declaration(
    kind: type[Any],
    *,
    names: Mapping[str, object],
    optional: Mapping[str, object],
    versions: object,
    metadata: object,
) -> None:
    """Raise `Violated` for values of other types than a contract is annotated with.

    *names* are its texts by parameter, *optional* those that may be None; each of its *versions*
    is a *kind*, `Version` or `Workflow`.
    """
    issues = [
        Issue(name, "a string", short_repr(value))
        for name, value in (*names.items(), *optional.items())
        if not (isinstance(value, str) or (value is None and name in optional))
    ]
    if not isinstance(metadata, Mapping):
        issues.append(Issue("metadata", "a mapping", short_repr(metadata)))
    issues += _version_issues(kind, versions)
    if issues:
        raise Violated(ConfigViolation("invalid contract", tuple(issues)))


def _version_issues(kind: type[Any], versions: object) -> Iterator[Issue]:
    made = f"{kind.__name__}({', '.join(f'{name.name}=...' for name in fields(kind))})"
    if not isinstance(versions, Mapping):
        expected = f'a mapping of versions: {{"1.0.0": {made}}}'
        yield Issue("versions", expected, short_repr(versions))
        return
    for number, version in versions.items():
        if not isinstance(number, str):
            yield Issue("versions", "version numbers such as '1.0.0'", short_repr(number))
        elif not isinstance(version, kind):
            yield Issue(f"versions.{number}", made, short_repr(version))


def check_contract(
    uri: str,
    accepted: str,
    emitted: list[str],
    versions: Mapping[str, object],
    domain: str | None,
    *,
    is_workflow: bool,
) -> None:
    """Raise `Violated` for an invalid contract. Only workflows may use the `arvo.orc` types."""
    issues = tuple(_issues(uri, accepted, emitted, versions, domain, is_workflow=is_workflow))
    if issues:
        raise Violated(ConfigViolation(f"invalid contract {uri!r}", issues))


def _issues(
    uri: str,
    accepted: str,
    emitted: list[Any],
    versions: Mapping[str, object],
    domain: str | None,
    *,
    is_workflow: bool,
) -> Iterator[Issue]:
    if not uri or not is_uri(uri):
        yield Issue("uri", "an encoded URI such as #/contracts/user", repr(uri))
    for path, name in [("type", accepted), *(("emits", name) for name in emitted)]:
        if not (isinstance(name, str) and is_event_type(name)):
            yield Issue(path, "lower-case segments and dots, such as com.user.create", repr(name))
        elif not is_workflow and is_orchestrator_type(name):
            yield Issue(
                path, f"no type of {ORCHESTRATOR_PREFIX} (use OrchestratorContract)", repr(name)
            )
    if not versions:
        yield Issue("versions", "at least one version", "none")
    for number in versions:
        if not is_version(number) or number == WILDCARD:
            yield Issue(
                f"versions.{number}", f"a version such as 1.0.0, not {WILDCARD}", repr(number)
            )
    if domain is not None and not is_domain(domain):
        yield Issue("domain", "lower-case letters, digits, dots, or nothing", repr(domain))


def is_orchestrator_type(event_type: str) -> bool:
    """Return whether *event_type* is reserved for workflows; `arvo.orchard.create` is not.

    >>> is_orchestrator_type("arvo.orc.order"), is_orchestrator_type("arvo.orchard.create")
    (True, False)
    """
    return event_type == ORCHESTRATOR_PREFIX or event_type.startswith(f"{ORCHESTRATOR_PREFIX}.")


def make_payload(
    path: str, kind: type[A] | JsonSchema, extra: Mapping[str, Any] | None = None
) -> Payload[A]:
    """Make a payload of a class or schema; raises `Violated` that names *path* in the contract."""
    given: object = kind
    if isinstance(given, tuple | UnionType):
        expected = f"{_EXPECTED}: only the completion of a workflow is one of several"
        issue = Issue(path, expected, short_repr(kind))
        raise Violated(ConfigViolation("invalid contract", issue))
    # The constructor of Version types a JSON Schema as mappings, so this cast is right.
    return cast("Payload[A]", _payload(path, kind, extra))


def make_outcomes(
    path: str, kind: type[A] | tuple[type[A], ...] | UnionType | JsonSchema
) -> Payload[A]:
    """Make the payload that completes a workflow: of a class, a union of classes, or a schema.

    Raises `Violated` that names *path* in the contract.
    """
    return cast("Payload[A]", _payload(path, kind))


def _payload(path: str, kind: Any, extra: Mapping[str, Any] | None = None) -> Payload[Any]:
    try:
        return Payload.of(kind, extra=extra)
    except PayloadError as error:
        issue = Issue(path, _EXPECTED, str(error))
        raise Violated(ConfigViolation("invalid contract", issue)) from error


_EXPECTED: Final = "a payload class or a JSON Schema"
