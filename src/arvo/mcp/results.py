"""Results: answers, outcomes and refusals as results of tools."""

from typing import Any, Final

import orjson
from mcp_types import CallToolResult, TextContent

from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.events.protocol import SystemFault
from arvo.core.payloads.secrets import hide_secrets
from arvo.core.record import Record
from arvo.core.violations.issue import one_line
from arvo.printable import printable

# The most characters of a text that a model, or a person, reads of a payload.
TEXT_MAX: Final = 4_000
# Where a result has the sealed id of its workflow.
WORKFLOW_META: Final = "arvo/workflow"
# Where a call has its idempotency key: the same in each attempt.
KEY_META: Final = "arvo/idempotency-key"


def answer_result(contract: VersionedContract[Any], answer: Event[Any]) -> CallToolResult:
    """Return an answer of a contract. A system error is the error of the tool."""
    if answer.type == contract.system_error_type:
        fault = answer.raw
        return error_result(f"{fault['errorName']}: {fault['errorMessage']}")
    return _data_result(contract, answer)


def outcome_result(
    contract: VersionedContract[Any] | None, record: Record, completion: Event[Any] | None
) -> CallToolResult:
    """Return the outcome of a workflow that has ended; *contract* is that of its version."""
    if record.status == "done":
        if completion is None or contract is None:
            return error_result("the workflow completed, and the backend no longer has its outcome")
        return _data_result(contract, completion)
    if record.failure is not None:
        return error_result(_fault_text(record.failure))
    return error_result(f"the workflow is {record.status}")


def error_result(text: str) -> CallToolResult:
    """Return an error that the model reads."""
    content = TextContent(type="text", text=printable(text, TEXT_MAX))
    return CallToolResult(content=[content], is_error=True)


def shown_text(contract: VersionedContract[Any], event: Event[Any]) -> str:
    """Return the payload of a request as a person reads it: JSON, without secrets."""
    text = orjson.dumps(hide_secrets(contract.accepted.schema, event.to_dict()["data"])).decode()
    return printable(text, TEXT_MAX)


def _data_result(contract: VersionedContract[Any], event: Event[Any]) -> CallToolResult:
    payload = contract.emitted.get(event.type)
    schema = {} if payload is None else payload.schema
    data = hide_secrets(schema, event.to_dict()["data"])
    content = TextContent(type="text", text=orjson.dumps(data).decode())
    return CallToolResult(content=[content], structured_content=data)


def _fault_text(fault: SystemFault) -> str:
    return f"{one_line(fault.name)}: {fault.message}"
