"""JSON import: the document that `Contract.json_schema` exports, checked and as values."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias, final, get_args

from annotated_types import MinLen
from attrs import evolve, frozen

from arvo.core.contracts.version_spec import JsonSchema
from arvo.core.events.json_text import parse_json
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.zod import ZodSchema
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated

Unknown: TypeAlias = Literal["strip", "refuse"]


@final
@frozen
class EventDocument:
    """An event of a contract: its type, and the JSON Schema of its data."""

    type: str
    schema: Mapping[str, Any]

    def of_zod(self, *, strips: bool) -> "EventDocument":
        """Return this event with a schema that is checked as zod checks."""
        return evolve(self, schema=ZodSchema(self.schema, strips=strips))


@final
@frozen
class VersionDocument:
    """One version of a contract."""

    version: str
    accepts: EventDocument
    emits: tuple[EventDocument, ...]

    @property
    def emitted_schema(self) -> JsonSchema:
        """The schema of its only emitted event; raises `Violated` if there is not exactly one."""
        match self.emits:
            case [event]:
                return event.schema
            case events:
                path = f"contract.versions.{self.version}.emits"
                issue = Issue(path, "one event", f"{len(events)}")
                raise Violated(ConfigViolation("invalid contract document of this kind", issue))


@final
@frozen
class ContractDocument:
    """A contract as another service exported it; `metadata` names its kind, if it has one.

    The TypeScript packages export no `type`: then it is the type of the accepted event.
    """

    uri: str
    versions: Annotated[tuple[VersionDocument, ...], MinLen(1)]
    type: str = ""
    domain: str | None = None
    description: str | None = None
    metadata: Mapping[str, Any] | None = None

    def of_zod(self, *, strips: bool) -> "ContractDocument":
        """Return this document with schemas that are checked as zod checks."""
        versions = tuple(
            evolve(
                version,
                accepts=version.accepts.of_zod(strips=strips),
                emits=tuple(event.of_zod(strips=strips) for event in version.emits),
            )
            for version in self.versions
        )
        return evolve(self, versions=versions)

    @property
    def by_version(self) -> Mapping[str, VersionDocument]:
        """The versions by number."""
        return {version.version: version for version in self.versions}

    def metadata_without(self, *keys: str) -> dict[str, Any]:
        """Return the metadata without *keys*, which the kind of the contract adds again."""
        return {key: value for key, value in (self.metadata or {}).items() if key not in keys}


_DOCUMENT = Payload.of(ContractDocument)


def read_document(content: object, unknown: Unknown | None) -> ContractDocument:
    """Check and read an exported contract, JSON text or its values.

    *unknown*: what becomes of unknown keys where a schema of the TypeScript packages refuses them.
    Raises `Violated`, which names the invalid field.
    """
    given: object = unknown
    if given not in (None, *get_args(Unknown)):
        names = " or ".join(map(repr, get_args(Unknown)))
        issue = Issue("unknown", f"{names}, or no argument", short_repr(given))
        raise Violated(ConfigViolation("invalid treatment of unknown keys", issue))
    if isinstance(content, str | bytes):
        content = parse_json(content, "contract", "contract")
        if isinstance(content, Issues):
            raise Violated(ConfigViolation("invalid contract document", content))
    document = _DOCUMENT.read(content, "contract")
    if isinstance(document, Issues):
        raise Violated(ConfigViolation("invalid contract document", document))
    if unknown is None and document.type:
        return document
    return document.of_zod(strips=unknown != "refuse")
