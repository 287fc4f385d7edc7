"""Contract: the events that a handler accepts and may emit, version by version."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Self, TypeAlias, TypeVar

from attrs import frozen

from arvo.core.contracts.check import check_contract, check_declaration, make_payload
from arvo.core.contracts.json_import import ContractDocument, Unknown, read_document
from arvo.core.contracts.version_spec import PayloadKind, Version
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.dataschema import version_key
from arvo.core.events.protocol import system_error_type
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated

A = TypeVar("A")

VersionAlias: TypeAlias = Literal["latest", "any", "oldest"]


@frozen(init=False)
class Contract(Generic[A]):
    """The events that one handler accepts and may emit, in all versions of the contract.

    *uri* names the contract. *type* is the type of the event it accepts, which is also the
    handler's address. *versions* maps `major.minor.patch` to a `Version`. *domain* is the external
    domain of its events; *description* and *metadata* are for people and tools. An invalid contract
    raises `Violated`, which names each invalid field, its value and the expected one.

    `contract["1.0.0"]` and `contract.version("latest")` return one version, with its event
    factories.
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
        check_declaration(
            Version,
            names={"uri": uri, "type": type},
            optional={"domain": domain, "description": description},
            versions=versions,
            metadata=metadata,
        )
        emits = {number: _emits(number, version) for number, version in versions.items()}
        emitted = [event_type for by_type in emits.values() for event_type in by_type]
        check_contract(uri, type, emitted, versions, domain, is_workflow=False)
        frozen_metadata = FrozenDict(metadata)
        by_number = {
            number: VersionedContract[A](
                uri=uri,
                version=number,
                type=type,
                domain=domain,
                description=description,
                metadata=frozen_metadata,
                accepted=make_payload(f"versions.{number}.accepts", version.accepts),
                emitted={
                    event_type: make_payload(f"versions.{number}.emits.{event_type}", kind)
                    for event_type, kind in emits[number].items()
                },
            )
            for number, version in versions.items()
        }
        self.__attrs_init__(uri, type, domain, description, frozen_metadata, by_number)

    @classmethod
    def of(cls, versions: Iterable[VersionedContract[Any]]) -> Self:
        """Build the contract that has *versions*, at least one, all with the same uri and type.

        Raises `Violated` where they differ, or where a version occurs twice.
        """
        first, *more = versions
        by_number = {first.version: first}
        for version in more:
            for name in ("uri", "type", "domain"):
                expected, got = getattr(first, name), getattr(version, name)
                if expected != got:
                    issue = Issue(f"{name} of {version.version}", repr(expected), repr(got))
                    raise Violated(ConfigViolation(f"invalid contract {first.uri!r}", issue))
            if version.version in by_number:
                issue = Issue("version", "a version of its own", version.version)
                raise Violated(ConfigViolation(f"invalid contract {first.uri!r}", issue))
            by_number[version.version] = version
        contract = cls.__new__(cls)
        contract.__attrs_init__(
            first.uri, first.type, first.domain, first.description, first.metadata, by_number
        )
        return contract

    def __getitem__(self, version: str) -> VersionedContract[A]:
        return self.version(version)

    def version(self, version: VersionAlias | str) -> VersionedContract[A]:
        """Return one version; "latest" and "any" are the highest, "oldest" is the lowest.

        Raises `Violated`, which lists the existing versions.
        """
        match version:
            case "latest" | "any":
                return self.versions[self.sorted_versions[-1]]
            case "oldest":
                return self.versions[self.sorted_versions[0]]
            case str() if version in self.versions:
                return self.versions[version]
            case _:
                known = ", ".join(self.sorted_versions)
                raise Violated(
                    ConfigViolation(
                        f"contract {self.uri} has no such version",
                        Issue("version", f"one of {known}", repr(version)),
                    )
                )

    if not TYPE_CHECKING:
        # Type checkers must not see it: they would accept any attribute.

        def __getattr__(self, name: str) -> Any:
            if name != "versions" and not name.startswith("_"):
                for number in reversed(self.sorted_versions):
                    if hasattr(self.versions[number], name):
                        raise AttributeError(
                            f"a contract has no {name!r}, only its versions have: "
                            f'write contract["{number}"].{name}'
                        )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def sorted_versions(self) -> tuple[str, ...]:
        """The version numbers, lowest first."""
        return tuple(sorted(self.versions, key=version_key))

    @property
    def system_error_type(self) -> str:
        """The type of its system errors."""
        return system_error_type(self.type)

    def json_schema(self) -> dict[str, Any]:
        """Export the contract as JSON data.

        `{uri, type, domain, description, metadata, versions: [{version, domain, metadata, accepts,
        systemError, emits}]}`, where each event is `{type, schema}`; versions lowest first. The
        TypeScript packages export the same without `type`.
        """
        # Without its type, a contract over zod is read as such again.
        is_zod = any(it.accepted.is_zod for it in self.versions.values())
        return {
            "uri": self.uri,
            **({} if is_zod else {"type": self.type}),
            "domain": self.domain,
            "description": self.description,
            "metadata": dict(self.metadata),
            "versions": [self.versions[number].json_schema() for number in self.sorted_versions],
        }

    @staticmethod
    def from_json_schema(document: object, *, unknown: Unknown | None = None) -> "Contract[Any]":
        """Read a contract that `json_schema` exported, in this service or another one.

        *document* is its JSON text or the parsed values. Text is safer: most JSON parsers change
        an integer beyond 64 bits, such as the bound of a field, and this one refuses it.

        The TypeScript packages export schemas of zod. They are checked as zod checks: unknown keys
        are dropped although the schema refuses them, and formats are zod's. *unknown*: "refuse"
        keeps what the schema says of unknown keys; either value takes any document for one of zod.

        Returns the kind of contract that the document's metadata names; its payloads are JSON
        Schemas. Raises `Violated`, which names the invalid field.
        """
        return _read(read_document(document, unknown))


Reader: TypeAlias = Callable[[ContractDocument, str], Contract[Any]]
# By the `contractType` in the metadata of a document. The modules of the subclasses add their
# readers, so that this one need not import them; `arvo` imports them all.
_READERS: Final[dict[str, Reader]] = {}


def register_reader(contract_type: str) -> Callable[[Reader], Reader]:
    """Decorate the function that builds contracts of *contract_type* from a document.

    It is called with the document and its `rootType`.
    """

    def register(reader: Reader) -> Reader:
        _READERS[contract_type] = reader
        return reader

    return register


def _read(document: ContractDocument) -> Contract[Any]:
    match document.metadata or {}:
        case {"contractType": str(kind), "rootType": str(root)} if kind in _READERS:
            return _READERS[kind](document, root)
    versions = document.by_version
    return Contract(
        uri=document.uri,
        type=document.type or next(iter(versions.values())).accepts.type,
        domain=document.domain,
        description=document.description,
        metadata=document.metadata_without(),
        versions={
            number: Version(
                accepts=version.accepts.schema,
                emits={event.type: event.schema for event in version.emits},
            )
            for number, version in versions.items()
        },
    )


def _emits(number: str, version: Version[Any]) -> Mapping[str, PayloadKind]:
    if isinstance(version.emits, Mapping):
        return version.emits
    raise Violated(
        ConfigViolation(
            "invalid contract",
            Issue(
                f"versions.{number}.emits",
                "a mapping of event types to payloads (or a SimpleContract)",
                getattr(version.emits, "__name__", repr(version.emits)),
            ),
        )
    )
