"""Tasks: a client that knows tasks asks for a workflow, answers it, and cancels it."""

from typing import Any, Literal

import pytest
from mcp.client.client import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, Request, RequestParams, Result
from pydantic import ConfigDict

from arvo import Runtime
from arvo.mcp import mcp_server
from arvo.mcp.tasks import TASKS, TaskCreated
from tests.interpreters.until import until
from tests.interpreters.within import within
from tests.mcp.clients import CALL_SECONDS, GRANT, runtime_of

EXPENSE = {"employee": "ann", "amount": 900}


class Params(RequestParams):
    task_id: str
    input_responses: dict[str, Any] | None = None


class Anything(Result):
    model_config = ConfigDict(extra="allow")


class Get(Request[Params, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"


class Update(Request[Params, Literal["tasks/update"]]):
    method: Literal["tasks/update"] = "tasks/update"


class Cancel(Request[Params, Literal["tasks/cancel"]]):
    method: Literal["tasks/cancel"] = "tasks/cancel"


async def ask(client: Client, request: Any) -> dict[str, Any]:
    result = await client.session.send_request(request, Anything)
    return result.model_dump(by_alias=True)


class Knows(ClientExtension):
    """Claims the result of a call that is a task."""

    identifier = TASKS

    def __init__(self) -> None:
        self.created: list[TaskCreated] = []

    def claims(self) -> list[ResultClaim[TaskCreated]]:
        return [ResultClaim(result_type="task", model=TaskCreated, resolve=self.resolve)]

    async def resolve(self, created: TaskCreated, context: ClaimContext) -> CallToolResult:
        del context
        self.created.append(created)
        return CallToolResult(content=[], is_error=True)


def begin(runtime: Runtime, knows: Knows) -> Client:
    return Client(mcp_server(runtime, timeout=CALL_SECONDS), extensions=[knows])


def test_a_task_asks_and_completes() -> None:
    async def go() -> None:
        knows = Knows()
        async with runtime_of() as runtime, begin(runtime, knows) as client:
            await client.call_tool("expense_approve", EXPENSE)
            [created] = knows.created
            assert created.status == "working"
            task: dict[str, Any] = {}

            async def has(status: str) -> bool:
                task.clear()
                task.update(await ask(client, Get(params=Params(task_id=created.task_id))))
                return bool(task["status"] == status)

            await until(lambda: has("input_required"))
            [(id_, form)] = task["inputRequests"].items()
            assert form["params"]["message"].startswith("May this expense be paid?")
            answers = {id_: GRANT.model_dump()}
            update = Update(params=Params(task_id=created.task_id, input_responses=answers))
            await ask(client, update)
            await until(lambda: has("completed"))
            assert task["result"]["structuredContent"] == {"receipt": "r-900"}
            assert task["taskId"] == created.task_id

    within(go())


def test_a_cancelled_task_runs_no_further() -> None:
    async def go() -> None:
        knows = Knows()
        async with runtime_of() as runtime, begin(runtime, knows) as client:
            await client.call_tool("expense_approve", EXPENSE)
            id_ = knows.created[0].task_id
            await ask(client, Cancel(params=Params(task_id=id_)))

            async def is_cancelled() -> bool:
                task = await ask(client, Get(params=Params(task_id=id_)))
                return bool(task["status"] == "cancelled")

            await until(is_cancelled)

    within(go())


def test_an_unknown_task_is_refused() -> None:
    async def go() -> None:
        async with runtime_of() as runtime, begin(runtime, Knows()) as client:
            for request in (Get, Update, Cancel):
                with pytest.raises(MCPError, match="no workflow has this id"):
                    await ask(client, request(params=Params(task_id="v1.AAAA")))

    within(go())
