"""Orchestrator: the contract of a workflow, with its init and completion events."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar, final

from attrs import frozen

from arvo.core.contracts.check import (
    ORCHESTRATOR_PREFIX,
    check_contract,
    check_declaration,
    make_outcomes,
    make_payload,
)
from arvo.core.contracts.contract import Contract, VersionAlias, register_reader
from arvo.core.contracts.json_import import ContractDocument
from arvo.core.contracts.version_spec import JsonSchema, Workflow
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT, VersionedWorkflow
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.payloads.zod import ZodSchema
from arvo.core.violations.arguments import check_function

A = TypeVar("A")
C = TypeVar("C")

# The `contractType` in its metadata; the TypeScript packages write the same.
ORCHESTRATOR: Final = "ArvoOrchestratorContract"

# The data of an init event names the parent workflow; null if there is none.
PARENT: Final = {PARENT_SUBJECT: {"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}]}}


@final
@frozen(init=False)
class OrchestratorContract(Contract[A], Generic[A, C]):
    """A workflow's init and completion events, version by version.

    `name="order.fulfil"` accepts `arvo.orc.order.fulfil` and completes with
    `arvo.orc.order.fulfil.done`.

    *key* makes it a keyed contract, for a `Resumable`: a pure function from the payload to the
    workflow id. An event of it begins the run of its key; while that run is active, the event is a
    signal to it, and a further turn gets it. Several senders share the run: it has no parent, and
    its completion goes to none of them.
    """

    def __init__(
        self,
        *,
        uri: str,
        name: str,
        versions: Mapping[str, Workflow[A, C]],
        domain: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] = EMPTY,
        key: Callable[[A], str] | None = None,
    ) -> None:
        expected = "a function from the payload to a workflow id"
        check_function("key", key, expected, of=f"the contract {uri}")
        check_declaration(
            Workflow,
            names={"uri": uri, "name": name},
            optional={"domain": domain, "description": description},
            versions=versions,
            metadata=metadata,
        )
        accepted = f"{ORCHESTRATOR_PREFIX}.{name}"
        completed = f"{accepted}.done"
        check_contract(uri, accepted, [completed], versions, domain, is_workflow=True)
        frozen_metadata = FrozenDict(
            {
                **metadata,
                "contractType": ORCHESTRATOR,
                "rootType": name,
                "initEventType": accepted,
                "completeEventType": completed,
            }
        )
        by_number = {
            number: VersionedWorkflow[A, C](
                uri=uri,
                version=number,
                type=accepted,
                domain=domain,
                description=description,
                metadata=frozen_metadata,
                accepted=make_payload(f"versions.{number}.init", workflow.init, extra=PARENT),
                emitted={
                    completed: make_outcomes(f"versions.{number}.complete", workflow.complete)
                },
                name=name,
                key=key,
            )
            for number, workflow in versions.items()
        }
        self.__attrs_init__(uri, accepted, domain, description, frozen_metadata, by_number)

    @property
    def name(self) -> str:
        """The workflow's name: its type without the prefix."""
        return self.type.removeprefix(f"{ORCHESTRATOR_PREFIX}.")

    def __getitem__(self, version: str) -> VersionedWorkflow[A, C]:
        return self.version(version)

    def version(self, version: VersionAlias | str) -> VersionedWorkflow[A, C]:
        """Return one version, with `init` and `complete` among its event factories."""
        versioned = super().version(version)
        assert isinstance(versioned, VersionedWorkflow)
        return versioned


@register_reader(ORCHESTRATOR)
def read_orchestrator_contract(
    document: ContractDocument, root: str
) -> OrchestratorContract[Any, Any]:
    """Build the workflow contract that *document* describes; *root* is its `rootType`."""
    return OrchestratorContract(
        uri=document.uri,
        name=root,
        domain=document.domain,
        description=document.description,
        metadata=document.metadata_without(
            "contractType", "rootType", "initEventType", "completeEventType"
        ),
        versions={
            number: Workflow(
                init=_without_parent(version.accepts.schema), complete=version.emitted_schema
            )
            for number, version in document.by_version.items()
        },
    )


def _without_parent(accepted: JsonSchema) -> JsonSchema:
    """Remove the protocol's key from the schema of an init event: the contract adds it again."""
    schema = dict(accepted)
    # Invalid values stay, so that the contract refuses them and names their place.
    if isinstance(properties := schema.get("properties"), dict):
        schema["properties"] = {k: v for k, v in properties.items() if k != PARENT_SUBJECT}
    if isinstance(required := schema.get("required"), list):
        schema["required"] = [key for key in required if key != PARENT_SUBJECT]
    if isinstance(accepted, ZodSchema):
        return ZodSchema(schema, strips=accepted.strips)
    return schema
