"""Schemas: the JSON Schemas of the events of a system, by which secrets in their data are found."""

from collections.abc import Mapping
from typing import Any, Self, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.events.protocol import CANCELLATION, FAULT, cancel_type, is_fork
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.secrets import HIDDEN, hide_secrets
from arvo.engine.system.exported import declared_contracts
from arvo.engine.system.system import System


@final
@frozen
class Schemas:
    """The JSON Schemas of the events of a system, by type and dataschema, and its handlers."""

    by_type: Mapping[str, Mapping[str, Mapping[str, Any]]]
    handlers: frozenset[str]

    @classmethod
    def of(cls, system: System) -> Self:
        """Collect the schemas of every contract that *system* names."""
        found: dict[str, dict[str, Mapping[str, Any]]] = {}
        for contract in (*declared_contracts(system), *system.remote):
            payloads: dict[str, Payload[Any]] = {contract.type: contract.accepted}
            payloads |= contract.emitted
            payloads[contract.system_error_type] = FAULT
            payloads[cancel_type(contract.type)] = CANCELLATION
            for name, payload in payloads.items():
                found.setdefault(name, {})[contract.dataschema] = payload.checked_schema
        return cls(found, frozenset(system.addresses))

    def of_event(self, event: Event[Any]) -> tuple[Mapping[str, Any], ...]:
        """Return the schemas that the data of *event* may have: of its version, or of them all."""
        versions = self.by_type.get(event.type, {})
        exact = versions.get(event.dataschema or "")
        return tuple(versions.values()) if exact is None else (exact,)

    def hide_secrets(self, event: Event[Any]) -> Any:
        """Return the data of *event* as JSON, without the values that its contract marks as secret.

        The events that a fork takes over are hidden as a whole. An event without a contract here
        has no marks.
        """
        if is_fork(event.type):
            return {**event.raw, "content": HIDDEN}
        data: Any = event.raw
        for schema in self.of_event(event):
            data = hide_secrets(schema, data)
        return data
