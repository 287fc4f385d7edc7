"""Tasks: a workflow as a task that a client asks for, answers and cancels (SEP-1686, SEP-2663)."""

from typing import Any, Final, Literal, final

from attrs import define
from mcp.server.context import HandlerResult
from mcp.server.lowlevel import Server
from mcp_types import ElicitResult, RequestParams, Result

from arvo.core.events.envelope import time_text
from arvo.core.record import Record
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.runtime.runtime import Runtime
from arvo.mcp.sealing import Context, Seal
from arvo.mcp.workflows import Workflows

# The name of the extension, by which client and server agree on it.
TASKS: Final = "io.modelcontextprotocol/tasks"
# How long a client pauses between two questions for the state of a task.
POLL_MILLISECONDS: Final = 500

TaskStatus = Literal["working", "input_required", "completed", "failed", "cancelled"]


class TaskCreated(Result):
    """The result of a call that has begun a workflow, for a client that knows tasks."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: TaskStatus
    created_at: str
    last_updated_at: str
    ttl_ms: int | None = None
    poll_interval_ms: int = POLL_MILLISECONDS

    @classmethod
    def of(cls, task_id: str) -> "TaskCreated":
        """Describe a task that has begun now."""
        now = time_text(utc_now())
        return cls(task_id=task_id, status="working", created_at=now, last_updated_at=now)


class TaskParams(RequestParams):
    """Which task."""

    task_id: str


class UpdateParams(TaskParams):
    """The answers to the questions of a task."""

    input_responses: dict[str, ElicitResult] | None = None


@final
@define(eq=False)
class Tasks:
    """The requests about tasks."""

    runtime: Runtime
    workflows: Workflows
    seal: Seal

    def add_to(self, server: "Server[Any]") -> None:
        """Let a server answer them."""
        server.extensions[TASKS] = {}
        server.add_request_handler("tasks/get", TaskParams, self.get)
        server.add_request_handler("tasks/update", UpdateParams, self.update)
        server.add_request_handler("tasks/cancel", TaskParams, self.cancel)

    async def get(self, context: Context, params: TaskParams) -> HandlerResult:
        """Return the state of a task: its questions, or its result."""
        subject = self.seal.open(context, params.task_id)
        stored = await self.runtime.backend.workflow(subject)
        record = None if stored is None else stored.record
        forms = {}
        if record is not None and record.status == "active":
            forms = await self.workflows.forms(record, {})
        # Before its first turn a workflow has no times.
        began, changed = (stored.began, stored.changed) if stored else (utc_now(), utc_now())
        task: dict[str, Any] = {
            "resultType": "complete",
            "taskId": params.task_id,
            "status": _status(record, bool(forms)),
            "createdAt": time_text(began),
            "lastUpdatedAt": time_text(changed),
            "ttlMs": None,
            "pollIntervalMs": POLL_MILLISECONDS,
        }
        if forms:
            task["inputRequests"] = {id_: _json(form) for id_, form in forms.items()}
        if record is not None and task["status"] in ("completed", "failed"):
            task["result"] = _json(await self.workflows.outcome(record))
        return task

    async def update(self, context: Context, params: UpdateParams) -> HandlerResult:
        """Answer the questions of a task."""
        subject = self.seal.open(context, params.task_id)
        record = await self.runtime.record(subject)
        if record is not None:
            await self.workflows.answer(record, params.input_responses or {})
        return {"resultType": "complete"}

    async def cancel(self, context: Context, params: TaskParams) -> HandlerResult:
        """Cancel a task: its workflow takes a last turn."""
        subject = self.seal.open(context, params.task_id)
        await self.runtime.cancel(subject, "a client of the MCP server cancelled the task")
        return {"resultType": "complete"}


def _status(record: Record | None, is_asking: bool) -> TaskStatus:
    if record is None or record.status == "active":
        return "input_required" if is_asking else "working"
    return "completed" if record.status == "done" else record.status


def _json(model: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = model.model_dump(by_alias=True, exclude_none=True, mode="json")
    return dumped
