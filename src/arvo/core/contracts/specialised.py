"""Shapes: the two kinds of contract that have conventions of their own."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Generic, TypeVar, cast, final

from attrs import frozen

from arvo.core.contracts.contract import (
    ORCHESTRATOR_PREFIX,
    Contract,
    Named,
    check_terms,
    payload_of,
)
from arvo.core.contracts.version_spec import Version, Workflow
from arvo.core.contracts.versioned import PARENT_SUBJECT, VersionedWorkflow
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict

A = TypeVar("A")
C = TypeVar("C")

# Which shape a contract has; the reference writes the same words into its metadata (F055, F056).
SIMPLE: Final = "SimpleArvoContract"
ORCHESTRATOR: Final = "ArvoOrchestratorContract"

# An init event says on whose behalf the workflow runs; null: nobody's (F057).
PARENT: Final = {PARENT_SUBJECT: {"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}]}}


@final
@frozen(init=False)
class SimpleContract(Contract[A]):
    """A contract of one event in and one out, named after the type it is given (reference F055).

    `type="user.validate"` takes `com.user.validate` and emits `evt.user.validate.success`.
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
        success = f"evt.{type}.success"
        super().__init__(
            uri=uri,
            type=f"com.{type}",
            versions={name: _only_emitting(success, each) for name, each in versions.items()},
            domain=domain,
            description=description,
            metadata={**metadata, "contractType": SIMPLE, "rootType": type},
        )


@final
@frozen(init=False)
class OrchestratorContract(Contract[A], Generic[A, C]):
    """What begins a workflow and what completes it, version by version (reference F056).

    `name="order.fulfil"` is begun by `arvo.orc.order.fulfil` and completes with
    `arvo.orc.order.fulfil.done`.
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
    ) -> None:
        accepted = f"{ORCHESTRATOR_PREFIX}.{name}"
        completed = f"{accepted}.done"
        check_terms(uri, accepted, [completed], versions, domain, reserved=False)
        kept = FrozenDict(
            {
                **metadata,
                "contractType": ORCHESTRATOR,
                "rootType": name,
                "initEventType": accepted,
                "completeEventType": completed,
            }
        )
        made = {
            number: VersionedWorkflow[A, C](
                uri=uri,
                version=number,
                type=accepted,
                domain=domain,
                description=description,
                metadata=kept,
                accepted=payload_of(f"versions.{number}.init", each.init, beside=PARENT),
                emitted={completed: payload_of(f"versions.{number}.complete", each.complete)},
                name=name,
            )
            for number, each in versions.items()
        }
        self.__attrs_init__(uri, accepted, domain, description, kept, made)

    @classmethod
    def of(cls, versions: Iterable[VersionedWorkflow[A, C]]) -> "OrchestratorContract[A, C]":
        """Put *versions* of one contract (at least one) together again."""
        made = {each.version: each for each in versions}
        first = next(iter(made.values()))
        contract = cls.__new__(cls)
        contract.__attrs_init__(
            first.uri, first.type, first.domain, first.description, first.metadata, made
        )
        return contract

    @property
    def name(self) -> str:
        """The workflow's name: its type without the prefix."""
        return self.type.removeprefix(f"{ORCHESTRATOR_PREFIX}.")

    def __getitem__(self, version: str) -> VersionedWorkflow[A, C]:
        return self.version(version)

    def version(self, version: Named | str) -> VersionedWorkflow[A, C]:
        """Give one version, with `init` and `complete` among its event factories."""
        found = super().version(version)
        assert isinstance(found, VersionedWorkflow)
        return found


def _only_emitting(event_type: str, version: Version[A]) -> Version[A]:
    emits: Any = version.emits
    return cast("Version[A]", Version(accepts=version.accepts, emits={event_type: emits}))
