"""Remote: an agent calls pinned tools of another server, and a person at a client approves."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from mcp.client.client import Client
from mcp.server.mcpserver import MCPServer

from arvo import Event, Runtime, System, Violated
from arvo.agents import Agent, Allow, Answer, ToolCall, by_tool
from arvo.mcp import mcp_server, tools
from arvo.mcp.pins import list_pins
from arvo.testing.agents import scripted
from tests.agents.support import (
    SCRIPT,
    Replied,
    begin,
    make_role,
    make_system,
    support,
)
from tests.interpreters.within import within
from tests.mcp.clients import CALL_SECONDS, DECLINE, Person, accept, text_of
from tests.mcp.expenses import leave_open
from tests.mcp.weather import weather_server

CALLS = (
    Answer("", (ToolCall("weather_forecast", '{"city":"Rome","days":2}'),)),
    Answer('{"answer":"sun"}'),
)


def pin(server: MCPServer, path: Path) -> Path:
    """Write the tools of a server to a file."""

    async def go() -> bytes:
        async with Client(server) as client:
            return (await list_pins(client)).write()

    path.write_bytes(within(go()))
    return path


def answer_with(path: Path, server: MCPServer, calls: Any = CALLS) -> tuple[Event[Any], list[str]]:
    """Run an agent with the pinned tools; return its answer, and what the tools returned."""
    model = scripted(calls)
    role = make_role(model, tools=tools(path, server), policy=by_tool({}, otherwise=Allow()))
    agent = Agent(support, {"1.0.0": role})
    seen: list[str] = []

    async def go() -> Event[Any]:
        async with Runtime(System([*agent.handlers])) as runtime:
            event = begin("weather")
            answer = await runtime.request(event, timeout=CALL_SECONDS)
            state = await runtime.query(event.subject)
            seen.extend(it.text for it in state.messages if it.role == "tool")
            return answer

    return within(go()), seen


def test_a_pinned_tool_is_called_as_a_handler_of_its_own(tmp_path: Path) -> None:
    cities: list[str] = []
    path = pin(weather_server(), tmp_path / "weather.lock.json")

    answer, seen = answer_with(path, weather_server(calls=cities))

    assert answer.data == Replied("sun")
    assert cities == ["Rome"]
    text = "Rome: sun for 2 days"
    assert [orjson.loads(it) for it in seen] == [{"text": text, "structured": {"result": text}}]


def test_a_tool_that_has_changed_is_not_called(tmp_path: Path) -> None:
    """The model reads why."""
    cities: list[str] = []
    path = pin(weather_server(), tmp_path / "weather.lock.json")

    _, seen = answer_with(path, weather_server(days=7, calls=cities))

    assert cities == []
    [text] = seen
    changed = "error: ToolChanged: the tool forecast of weather has changed since it was pinned"
    assert text == f"{changed}: review it, and run `arvo mcp pin` again"


def test_a_tool_that_fails_is_an_error_that_the_model_reads(tmp_path: Path) -> None:
    path = pin(weather_server(), tmp_path / "weather.lock.json")
    calls = (Answer("", (ToolCall("weather_forecast", '{"city":"Atlantis"}'),)), CALLS[1])

    _, seen = answer_with(path, weather_server(), calls)

    assert [text.partition(":")[0] for text in seen] == ["error"]
    assert "ToolFailed" in seen[0]
    assert "no such city" in seen[0]


def test_only_some_tools_are_chosen_by_name(tmp_path: Path) -> None:
    path = pin(weather_server(with_alerts=True), tmp_path / "weather.lock.json")

    assert [it.name for it in tools(path, "", only=["alerts"])] == ["weather_alerts"]
    assert [it.name for it in tools(path, "")] == ["weather_alerts", "weather_forecast"]
    with pytest.raises(Violated, match="only: expected names of alerts, forecast, got rain"):
        tools(path, "", only=["rain"])


@pytest.mark.parametrize("is_granted", [True, False])
def test_a_person_at_a_client_approves_what_an_agent_wants(is_granted: bool) -> None:
    """Its question for approval is a form, as each question by a domain is."""
    grant = accept(outcome="evt.arvo.agent.approved", by="ann")
    person = Person([grant if is_granted else DECLINE])
    system = make_system(scripted(SCRIPT))

    async def go() -> None:
        runtime = Runtime(system)
        runtime.on_domain()(leave_open)
        server = mcp_server(runtime, timeout=CALL_SECONDS)
        async with runtime, Client(server, elicitation_callback=person) as client:
            result = await client.call_tool("agent_support", {"question": "Money back"})
            assert result.structured_content == {"answer": "Paid back"}, text_of(result)
        [(message, _)] = person.forms
        assert "payment_refund" in message

    within(go())
