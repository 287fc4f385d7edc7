"""Catalog: the contracts of a system as tools, by their names."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, final

from attrs import frozen
from mcp_types import Tool, ToolAnnotations

from arvo.agents.tools import NAME, tool_name
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.contracts.versioned_workflow import VersionedWorkflow, request_schema
from arvo.core.payloads.secrets import has_secrets
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.system.handler import Handler, is_workflow
from arvo.engine.system.system import System

# The tool by which a client that cannot be asked waits for a workflow.
RESULT_TOOL: Final = "workflow_result"
RESULT_ID: Final = "id"


@final
@frozen
class Catalog:
    """The tools of a server. *contracts*: that of each tool, by its name."""

    contracts: Mapping[str, VersionedContract[Any]]

    @classmethod
    def of(cls, system: System, uris: Iterable[str] | None = None) -> "Catalog":
        """Return the latest version of each handler's contract, or of those with the given *uris*.

        Raises `Violated` for a uri that no handler has, and for two contracts whose tools would
        have the same name.
        """
        latest = {handler.contract.uri: _latest(handler) for handler in system.handlers}
        chosen = tuple(latest) if uris is None else tuple(dict.fromkeys(uris))
        unknown = [uri for uri in chosen if uri not in latest]
        issues = [Issue("contracts", f"one of {', '.join(latest)}", repr(uri)) for uri in unknown]
        contracts: dict[str, VersionedContract[Any]] = {}
        for uri in chosen:
            if uri not in latest:
                continue
            name = _name(latest[uri])
            if name in contracts or name == RESULT_TOOL:
                other = contracts[name].type if name in contracts else "the server's own tool"
                expected = f"a type whose tool is not named {name} as that of {other}"
                issues.append(Issue("contracts", expected, latest[uri].type))
            contracts[name] = latest[uri]
        if issues:
            raise Violated(ConfigViolation("these contracts make no tools", tuple(issues)))
        return cls(contracts)

    @property
    def has_workflows(self) -> bool:
        """Whether a tool begins a workflow."""
        return any(map(is_workflow_contract, self.contracts.values()))

    def tools(self) -> list[Tool]:
        """Describe the tools."""
        tools = [_tool(name, contract) for name, contract in self.contracts.items()]
        return [*tools, _RESULT] if self.has_workflows else tools


def _name(contract: VersionedContract[Any]) -> str:
    name = tool_name(contract.type)
    if not NAME.fullmatch(name):
        issue = Issue("contracts", f"a type that makes a name by {NAME.pattern}", short_repr(name))
        raise Violated(ConfigViolation("this contract makes no tool", issue))
    return name


def is_workflow_contract(contract: VersionedContract[Any]) -> bool:
    """Return whether a contract is that of a workflow."""
    return isinstance(contract, VersionedWorkflow)


def _latest(handler: Handler) -> VersionedContract[Any]:
    contract = handler.contract
    numbers = set(handler.versions if is_workflow(handler) else contract.versions)
    return contract.versions[max(numbers, key=contract.sorted_versions.index)]


def _tool(name: str, contract: VersionedContract[Any]) -> Tool:
    kind = "Begin the workflow" if is_workflow_contract(contract) else "Ask"
    return Tool(
        name=name,
        description=contract.description or f"{kind} {contract.type}.",
        input_schema={"type": "object", **request_schema(contract)},
        output_schema=_output_schema(contract),
        # A workflow may do anything, and so may a handler: a client shall ask its user first.
        annotations=ToolAnnotations(title=contract.type),
    )


def _output_schema(contract: VersionedContract[Any]) -> dict[str, Any] | None:
    """Return the schema of the only payload that answers; None if there are several, or none.

    None as well where a value is secret: it is not shown, so the result does not fit.
    """
    schemas = [payload.schema for payload in contract.emitted.values()]
    if len(schemas) != 1 or has_secrets(schemas[0]):
        return None
    return {"type": "object", **schemas[0]}


_RESULT: Final = Tool(
    name=RESULT_TOOL,
    description="Wait for a workflow that an earlier call has begun, and return its outcome.",
    input_schema={
        "type": "object",
        "properties": {RESULT_ID: {"type": "string", "description": "as that call returned it"}},
        "required": [RESULT_ID],
    },
    annotations=ToolAnnotations(read_only_hint=True),
)
