"""Servers: the official client over the standard input and over HTTP, and a killed server."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import uvicorn
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.shared.exceptions import MCPError
from mcp_types import InputRequiredResult
from pydantic import AnyHttpUrl

from arvo import Runtime, SqliteBackend
from arvo.mcp import mcp_app, mcp_server
from arvo.mcp.catalog import RESULT_TOOL
from arvo.mcp.results import WORKFLOW_META
from tests.interpreters.within import within
from tests.mcp.clients import CALL_SECONDS, GRANT, Person, text_of
from tests.mcp.expenses import DOMAIN, leave_open, system

ROOT = Path(__file__).parents[2]
EXPENSE = {"employee": "ann", "amount": 900}
KEYS = ("k" * 32,)


def command(folder: Path) -> StdioServerParameters:
    """Start a server that writes its process id to a file, on a SQLite file of the folder."""
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "tests.mcp.server_main", str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
        cwd=ROOT,
    )


def test_the_successor_of_a_killed_server_answers_the_next_round(tmp_path: Path) -> None:
    """Over the standard input: the client comes back with what the dead one has sealed."""
    person = Person([])

    async def go() -> None:
        async with Client(command(tmp_path), elicitation_callback=person) as client:
            asked = await client.session.call_tool(
                "expense_approve", EXPENSE, allow_input_required=True
            )
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
        assert isinstance(asked, InputRequiredResult)
        [request] = asked.input_requests or {}
        async with Client(command(tmp_path), elicitation_callback=person) as client:
            result = await client.session.call_tool(
                "expense_approve",
                EXPENSE,
                input_responses={request: GRANT},
                request_state=asked.request_state,
            )
        assert result.structured_content == {"receipt": "r-900"}

    within(go(), 120)


class Tokens:
    """The token of a client is its name."""

    async def verify_token(self, token: str) -> AccessToken | None:
        if token == "stranger":  # noqa: S105 - a name
            return None
        return AccessToken(token=token, client_id=token, scopes=[])


@asynccontextmanager
async def serving(path: Path, **options: object) -> AsyncIterator[str]:
    """Serve the system of the tests over HTTP on a SQLite file; yield the address."""
    runtime = Runtime(system, SqliteBackend(str(path)))
    runtime.on_domain(DOMAIN)(leave_open)
    server = mcp_server(runtime, keys=KEYS, timeout=CALL_SECONDS)
    app = mcp_app(server, runtime, **options)  # type: ignore[arg-type]
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=1)
    http = uvicorn.Server(config)
    task = asyncio.create_task(http.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    finally:
        http.should_exit = True
        await task
        listening.close()


@asynccontextmanager
async def client_at(
    url: str, name: str = "", person: Person | None = None
) -> AsyncIterator[Client]:
    headers = {"authorization": f"Bearer {name}"} if name else {}
    async with httpx2.AsyncClient(headers=headers, timeout=CALL_SECONDS) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, elicitation_callback=person) as client:
            yield client


def auth() -> dict[str, object]:
    settings = AuthSettings(
        issuer_url=AnyHttpUrl("https://login.example"), resource_server_url=None
    )
    return {"auth": settings, "token_verifier": Tokens()}


def test_a_person_at_a_client_over_http_answers(tmp_path: Path) -> None:
    person = Person([GRANT])

    async def go() -> None:
        async with (
            serving(tmp_path / "arvo.db") as url,
            client_at(url, person=person) as client,
        ):
            result = await client.call_tool("expense_approve", EXPENSE)
        assert result.structured_content == {"receipt": "r-900"}
        assert len(person.forms) == 1

    within(go(), 120)


def test_another_process_answers_the_next_round_but_no_other_caller(tmp_path: Path) -> None:
    """The state and the id are sealed for the caller that began the workflow."""

    async def go() -> None:
        async with (
            serving(tmp_path / "arvo.db", **auth()) as url,
            client_at(url, "ann", Person([])) as client,
        ):
            asked = await client.session.call_tool(
                "expense_approve", EXPENSE, allow_input_required=True
            )
        assert isinstance(asked, InputRequiredResult)
        [request] = asked.input_requests or {}
        async with (
            serving(tmp_path / "arvo.db", **auth()) as url,
            client_at(url, "ann", Person([])) as ann,
            client_at(url, "bob", Person([])) as bob,
            client_at(url, "ann") as without_forms,
        ):
            with pytest.raises(MCPError, match="Invalid or expired requestState"):
                await bob.session.call_tool(
                    "expense_approve",
                    EXPENSE,
                    input_responses={request: GRANT},
                    request_state=asked.request_state,
                )
            begun = await without_forms.call_tool("expense_approve", EXPENSE)
            assert begun.meta is not None
            id_ = begun.meta[WORKFLOW_META]
            with pytest.raises(MCPError, match="no workflow has this id"):
                await bob.call_tool(RESULT_TOOL, {"id": id_})
            with pytest.raises(MCPError, match="no workflow has this id"):
                await bob.read_resource(f"arvo://workflow/{id_}")
            result = await ann.session.call_tool(
                "expense_approve",
                EXPENSE,
                input_responses={request: GRANT},
                request_state=asked.request_state,
            )
            assert result.structured_content == {"receipt": "r-900"}, text_of(result)

    within(go(), 120)


def test_a_caller_without_a_token_is_refused(tmp_path: Path) -> None:
    async def go() -> list[int]:
        strangers: tuple[dict[str, str], ...] = ({}, {"authorization": "Bearer stranger"})
        async with serving(tmp_path / "arvo.db", **auth()) as url, httpx2.AsyncClient() as http:
            responses = [await http.post(url, headers=it, json={}) for it in strangers]
        return [response.status_code for response in responses]

    assert within(go(), 120) == [401, 401]
