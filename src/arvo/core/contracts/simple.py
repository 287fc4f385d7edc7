"""Simple: a contract of one event in and one event out."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast, final

from attrs import frozen

from arvo.core.contracts.check import check_declaration
from arvo.core.contracts.contract import Contract, register_reader
from arvo.core.contracts.json_import import ContractDocument
from arvo.core.contracts.version_spec import Version
from arvo.core.payloads.frozen_json import EMPTY

A = TypeVar("A")

# The `contractType` in its metadata; the TypeScript packages write the same.
SIMPLE: Final = "SimpleArvoContract"


@final
@frozen(init=False)
class SimpleContract(Contract[A]):
    """A contract of one accepted and one emitted event, whose types follow from *type*.

    `type="user.validate"` accepts `com.user.validate` and emits `evt.user.validate.success`.
    """

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
            Version, names={"type": type}, optional={}, versions=versions, metadata=metadata
        )
        success = f"evt.{type}.success"
        super().__init__(
            uri=uri,
            type=f"com.{type}",
            versions={
                number: _with_event_type(success, version) for number, version in versions.items()
            },
            domain=domain,
            description=description,
            metadata={**metadata, "contractType": SIMPLE, "rootType": type},
        )


def _with_event_type(event_type: str, version: Version[A]) -> Version[A]:
    emits: Any = version.emits
    return cast("Version[A]", Version(accepts=version.accepts, emits={event_type: emits}))


@register_reader(SIMPLE)
def read_simple_contract(document: ContractDocument, root: str) -> SimpleContract[Any]:
    """Build the simple contract that *document* describes; *root* is its `rootType`."""
    return SimpleContract(
        uri=document.uri,
        type=root,
        domain=document.domain,
        description=document.description,
        metadata=document.metadata_without("contractType", "rootType"),
        versions={
            number: Version(accepts=version.accepts.schema, emits=version.emitted_schema)
            for number, version in document.by_version.items()
        },
    )
