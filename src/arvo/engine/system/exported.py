"""Exported: the payloads of a system as JSON Schemas, for documents that other tools read."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, final

from attrs import define, field

from arvo.core.contracts.versioned import VersionedContract
from arvo.core.contracts.versioned_workflow import request_schema
from arvo.engine.system.handler import is_workflow
from arvo.engine.system.system import System

# Where a document holds its schemas.
SCHEMAS: Final = "#/components/schemas/"


@final
@define
class Components:
    """The schemas of a document, by name; nested classes are schemas of their own."""

    schemas: dict[str, Any] = field(factory=dict)

    def ref(self, name: str, schema: Mapping[str, Any]) -> dict[str, str]:
        """Add a schema under *name*, and return the reference to it.

        A schema has its references in itself, by `$defs`, where a document has one place for all.
        """
        nested = dict(schema)
        defs = nested.pop("$defs", {})
        nested.pop("$schema", None)
        moved = {f"#/$defs/{key}": f"{SCHEMAS}{name}.{_safe(key)}" for key in defs}
        self.schemas[name] = _moved(nested, moved)
        for key, inner in defs.items():
            self.schemas[f"{name}.{_safe(key)}"] = _moved(inner, moved)
        return {"$ref": f"{SCHEMAS}{name}"}

    def request_ref(self, contract: VersionedContract[Any]) -> dict[str, str]:
        """Return the reference to the payload that a contract accepts, without protocol keys."""
        return self.ref(f"{contract.type}.{contract.version}", request_schema(contract))

    def answer_ref(self, contract: VersionedContract[Any], event_type: str) -> dict[str, str]:
        """Return the reference to a payload that a contract emits."""
        schema = contract.emitted[event_type].schema
        return self.ref(f"{event_type}.{contract.version}", schema)


def declared_contracts(system: System) -> Iterator[VersionedContract[Any]]:
    """Yield the contracts of a system: its handlers', their services' and their signals'."""
    seen: set[str] = set()
    for contract in _contracts(system):
        if contract.dataschema not in seen:
            seen.add(contract.dataschema)
            yield contract


def _contracts(system: System) -> Iterator[VersionedContract[Any]]:
    for handler in system.handlers:
        yield from handler.contract.versions.values()
        if is_workflow(handler):
            for version in handler.versions:
                yield from handler.services_of(version)
                yield from handler.signals_of(version)


def _safe(name: str) -> str:
    """Return a name for a component: letters, digits, dots, dashes and underscores."""
    return "".join(it if it.isascii() and (it.isalnum() or it in "._-") else "_" for it in name)


def _moved(value: Any, moved: Mapping[str, str]) -> Any:
    match value:
        case dict():
            return {
                key: moved.get(inner, inner)
                if key == "$ref" and isinstance(inner, str)
                else _moved(inner, moved)
                for key, inner in value.items()
            }
        case list():
            return [_moved(inner, moved) for inner in value]
        case _:
            return value
