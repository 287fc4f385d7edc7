"""Exchange: contracts that come from elsewhere, as JSON."""

from collections.abc import Mapping
from typing import Any

from arvo.core.contracts.contract import Contract
from arvo.core.contracts.specialised import (
    ORCHESTRATOR,
    SIMPLE,
    OrchestratorContract,
    SimpleContract,
)
from arvo.core.contracts.version_spec import Version, Workflow
from arvo.core.contracts.versioned import PARENT_SUBJECT
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, Issues
from arvo.core.violations.violation import ConfigViolation, Violated

_EVENT: Any = {
    "type": "object",
    "properties": {"type": {"type": "string"}, "schema": {"type": "object"}},
    "required": ["type", "schema"],
}
_DOCUMENT = Payload.of(
    {
        "type": "object",
        "properties": {
            "uri": {"type": "string"},
            "type": {"type": "string"},
            "domain": {"type": ["string", "null"], "default": None},
            "description": {"type": ["string", "null"], "default": None},
            "metadata": {"type": ["object", "null"], "default": None, "additionalProperties": True},
            "versions": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "version": {"type": "string"},
                        "accepts": _EVENT,
                        "emits": {"type": "array", "items": _EVENT},
                    },
                    "required": ["version", "accepts", "emits"],
                },
            },
        },
        "required": ["uri", "versions"],
    }
)


def read_contract(document: object) -> Contract[Any]:
    """Read what `Contract.json_schema` exported, in the shape that its metadata names.

    A document of the reference has no `type`: it is that of the accepted event.
    """
    read = _DOCUMENT.read(document, "contract")
    if isinstance(read, Issues):
        raise Violated(ConfigViolation("this is no contract", read))
    return _shaped(read)


def _shaped(read: Mapping[str, Any]) -> Contract[Any]:
    versions = {each["version"]: each for each in read["versions"]}
    metadata = dict(read["metadata"] or {})
    common: Any = {"uri": read["uri"], "domain": read["domain"], "description": read["description"]}
    root = metadata.pop("rootType", None)
    match metadata.pop("contractType", None):
        case kind if kind == SIMPLE and isinstance(root, str):
            return SimpleContract(
                **common,
                type=root,
                metadata=metadata,
                versions={
                    number: Version(accepts=_accepted(each), emits=_only(number, each))
                    for number, each in versions.items()
                },
            )
        case kind if kind == ORCHESTRATOR and isinstance(root, str):
            for derived in ("initEventType", "completeEventType"):
                metadata.pop(derived, None)
            return OrchestratorContract(
                **common,
                name=root,
                metadata=metadata,
                versions={
                    number: Workflow(init=_without_parent(each), complete=_only(number, each))
                    for number, each in versions.items()
                },
            )
        case _:
            return Contract(
                **common,
                type=read.get("type") or next(iter(versions.values()))["accepts"]["type"],
                metadata=read["metadata"] or {},
                versions={
                    number: Version(
                        accepts=_accepted(each),
                        emits={emit["type"]: emit["schema"] for emit in each["emits"]},
                    )
                    for number, each in versions.items()
                },
            )


def _accepted(version: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = version["accepts"]["schema"]
    return schema


def _only(number: str, version: Mapping[str, Any]) -> Mapping[str, Any]:
    match version["emits"]:
        case [{"schema": Mapping() as schema}]:
            return schema
        case several:
            issue = Issue(f"contract.versions.{number}.emits", "one event", f"{len(several)}")
            raise Violated(ConfigViolation("this is no contract of its shape", issue))


def _without_parent(version: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take the protocol's own key out of an init event's schema: the shape puts it in again."""
    schema = dict(_accepted(version))
    # What is no schema stays as it is, to be refused with its place.
    if isinstance(properties := schema.get("properties"), dict):
        schema["properties"] = {k: v for k, v in properties.items() if k != PARENT_SUBJECT}
    if isinstance(required := schema.get("required"), list):
        schema["required"] = [each for each in required if each != PARENT_SUBJECT]
    return schema
