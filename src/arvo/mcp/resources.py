"""Resources: the contracts of a server, and the descriptions of the workflows of a caller."""

from typing import Any, Final, final

import orjson
from attrs import define
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from arvo.core.violations.violation import Violated
from arvo.interpreters.runtime.runtime import Runtime
from arvo.mcp.catalog import Catalog
from arvo.mcp.sealing import Context, Seal

_CONTRACT: Final = "arvo://contract/"
_WORKFLOW: Final = "arvo://workflow/"


@final
@define(eq=False)
class Resources:
    """Lists and reads the resources of a server."""

    runtime: Runtime
    catalog: Catalog
    seal: Seal

    async def list(
        self, context: Context, params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        """List the contracts."""
        del context, params
        found = [
            Resource(uri=f"{_CONTRACT}{name}", name=contract.uri, mime_type="application/json")
            for name, contract in self.catalog.contracts.items()
        ]
        return ListResourcesResult(resources=found)

    async def templates(
        self, context: Context, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        """Say how a workflow is addressed: only its caller knows the id."""
        del context, params
        template = ResourceTemplate(
            uri_template=f"{_WORKFLOW}{{id}}",
            name="workflow",
            description="What a workflow waits for, and since when.",
            mime_type="text/plain",
        )
        return ListResourceTemplatesResult(resource_templates=[template])

    async def read(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """Read a contract, or the description of a workflow."""
        uri = str(params.uri)
        if uri.startswith(_WORKFLOW):
            subject = self.seal.open(context, uri.removeprefix(_WORKFLOW))
            return _text(uri, "text/plain", await self._describe(subject))
        contract = self.catalog.contracts.get(uri.removeprefix(_CONTRACT))
        if contract is None or not uri.startswith(_CONTRACT):
            raise MCPError(code=INVALID_PARAMS, message=f"there is no resource {uri[:200]!r}")
        return _text(uri, "application/json", _document(contract.json_schema()))

    async def _describe(self, subject: str) -> str:
        try:
            return str(await self.runtime.describe(subject))
        except Violated:
            # Its first turn is not committed.
            return "The workflow has not begun yet."


def _text(uri: str, mime_type: str, text: str) -> ReadResourceResult:
    content = TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    return ReadResourceResult(contents=[content])


def _document(value: Any) -> str:
    return orjson.dumps(value, default=dict, option=orjson.OPT_INDENT_2).decode()
