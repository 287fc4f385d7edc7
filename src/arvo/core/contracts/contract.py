"""Contract: what a handler accepts and may emit, version by version."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, cast

from attrs import frozen

from arvo.core.contracts.version_spec import JsonSchema, PayloadKind, Version
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.dataschema import WILDCARD, is_version, version_key
from arvo.core.events.envelope import is_event_type
from arvo.core.events.fault import system_error_type
from arvo.core.events.subject import is_domain
from arvo.core.events.uri import is_uri
from arvo.core.payloads.fields import PayloadError
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated

A = TypeVar("A")

ORCHESTRATOR_PREFIX: Final = "arvo.orc"
Named: TypeAlias = Literal["latest", "any", "oldest"]


@frozen(init=False)
class Contract(Generic[A]):
    """What one handler accepts and may emit, in all its versions (reference F043-F054).

    *uri* names the contract, *type* the event it takes (and the address it is taken at), *versions*
    map `major.minor.patch` to a `Version`. *domain* is where its events belong when they leave the
    system; *description* and *metadata* are for people and tools. A contract that cannot be is
    refused with `Violated`, which names each field, what it is and what it should be.

    `contract["1.0.0"]` and `contract.version("latest")` give one version, with its event factories.
    """

    uri: str
    type: str
    domain: str | None
    description: str | None
    metadata: FrozenDict
    versions: Mapping[str, VersionedContract[A]]

    def __init__(
        self,
        *,
        uri: str,
        type: str,  # noqa: A002 - the wire's name
        versions: Mapping[str, Version[A]],
        domain: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] = EMPTY,
    ) -> None:
        emits = {name: _emits(name, version) for name, version in versions.items()}
        emitted = [each for of_version in emits.values() for each in of_version]
        check_terms(uri, type, emitted, versions, domain, reserved=True)
        kept = FrozenDict(metadata)
        made = {
            name: VersionedContract[A](
                uri=uri,
                version=name,
                type=type,
                domain=domain,
                description=description,
                metadata=kept,
                accepted=payload_of(f"versions.{name}.accepts", version.accepts),
                emitted={
                    each: payload_of(f"versions.{name}.emits.{each}", kind)
                    for each, kind in emits[name].items()
                },
            )
            for name, version in versions.items()
        }
        self.__attrs_init__(uri, type, domain, description, kept, made)

    def __getitem__(self, version: str) -> VersionedContract[A]:
        return self.version(version)

    def version(self, version: Named | str) -> VersionedContract[A]:
        """Give one version; "latest" and "any" are the highest, "oldest" the lowest (F049).

        Raises `Violated` that lists the versions there are.
        """
        match version:
            case "latest" | "any":
                return self.versions[self.sorted_versions[-1]]
            case "oldest":
                return self.versions[self.sorted_versions[0]]
            case _ if version in self.versions:
                return self.versions[version]
            case _:
                known = ", ".join(self.sorted_versions)
                raise Violated(
                    ConfigViolation(
                        f"contract {self.uri} has no such version",
                        Issue("version", f"one of {known}", repr(version)),
                    )
                )

    @property
    def sorted_versions(self) -> tuple[str, ...]:
        """The version numbers, lowest first (F050)."""
        return tuple(sorted(self.versions, key=version_key))

    @property
    def system_error_type(self) -> str:
        """The type of its system errors (F048)."""
        return system_error_type(self.type)

    def json_schema(self) -> dict[str, Any]:
        """Export the contract as JSON data (reference F052-F054), with its type (B40).

        `{uri, type, domain, description, metadata, versions: [{version, domain, metadata, accepts,
        systemError, emits}]}`, where each event is `{type, schema}`; versions lowest first.
        """
        return {
            "uri": self.uri,
            "type": self.type,
            "domain": self.domain,
            "description": self.description,
            "metadata": dict(self.metadata),
            "versions": [self.versions[number].json_schema() for number in self.sorted_versions],
        }

    @staticmethod
    def from_json_schema(document: object) -> "Contract[Any]":
        """Read a contract that `json_schema` exported, here or in another service.

        Its payloads are JSON Schemas. Raises `Violated` that names the field which does not fit.
        """
        # The shapes are kinds of Contract and so import this file.
        from arvo.core.contracts.json_import import read_contract

        return read_contract(document)


def _emits(number: str, version: Version[Any]) -> Mapping[str, PayloadKind]:
    if isinstance(version.emits, Mapping):
        return version.emits
    raise Violated(
        ConfigViolation(
            "this contract cannot be",
            Issue(
                f"versions.{number}.emits",
                "a mapping of event types to payloads (or a SimpleContract)",
                getattr(version.emits, "__name__", repr(version.emits)),
            ),
        )
    )


def check_terms(
    uri: str,
    accepted: str,
    emitted: list[str],
    versions: Mapping[str, object],
    domain: str | None,
    *,
    reserved: bool,
) -> None:
    """Refuse a contract that cannot be (F044-F046); *reserved*: workflows' types are refused."""
    issues = tuple(_issues(uri, accepted, emitted, versions, domain, reserved=reserved))
    if issues:
        raise Violated(ConfigViolation(f"contract {uri!r} cannot be", issues))


def _issues(
    uri: str,
    accepted: str,
    emitted: list[str],
    versions: Mapping[str, object],
    domain: str | None,
    *,
    reserved: bool,
) -> Iterator[Issue]:
    if not uri or not is_uri(uri):
        yield Issue("uri", "an encoded URI such as #/contracts/user", repr(uri))
    for path, name in [("type", accepted), *(("emits", name) for name in emitted)]:
        if not is_event_type(name):
            yield Issue(path, "lower-case segments and dots, such as com.user.create", repr(name))
        elif reserved and is_orchestrator_type(name):
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
    """Tell whether a type is reserved for workflows; `arvo.orchard.create` is not (B24).

    >>> is_orchestrator_type("arvo.orc.order"), is_orchestrator_type("arvo.orchard.create")
    (True, False)
    """
    return event_type == ORCHESTRATOR_PREFIX or event_type.startswith(f"{ORCHESTRATOR_PREFIX}.")


def payload_of(
    path: str, kind: type[A] | JsonSchema, beside: Mapping[str, Any] | None = None
) -> Payload[A]:
    """Take a class or a schema as a payload, or refuse the contract that has it at *path*."""
    try:
        # A Version of a JSON Schema is a Version of mappings (its constructor says so), so is this.
        return cast("Payload[A]", Payload.of(kind, beside=beside))
    except PayloadError as refused:
        issue = Issue(path, "an attrs.frozen class or a JSON Schema", str(refused))
        raise Violated(ConfigViolation("this contract cannot be", issue)) from refused
