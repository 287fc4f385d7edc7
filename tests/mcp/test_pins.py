"""Pins: the tools of another server are written to a file, and a changed one is named."""

import sys
from pathlib import Path

import pytest
from mcp.client.client import Client

from arvo import Violated
from arvo.cli.app import run_command
from arvo.mcp.pins import Pins, list_pins
from tests.interpreters.within import within
from tests.mcp.weather import weather_server


def pins_of(days: int = 1, *, with_alerts: bool = False) -> Pins:
    async def go() -> Pins:
        async with Client(weather_server(days, with_alerts=with_alerts)) as client:
            return await list_pins(client)

    return within(go())


def test_the_tools_of_a_server_are_read_as_they_were_written(tmp_path: Path) -> None:
    pins = pins_of(with_alerts=True)
    (tmp_path / "weather.lock.json").write_bytes(pins.write())

    read = Pins.read(tmp_path / "weather.lock.json")

    assert (read.server, list(read.tools)) == ("weather", ["alerts", "forecast"])
    assert list(read.changes(pins)) == []
    assert read.write() == pins.write()


def test_each_change_is_a_line() -> None:
    before, after = pins_of(with_alerts=True), pins_of(2)

    assert list(before.changes(after)) == ["removed alerts", "changed forecast: inputSchema"]
    assert list(after.changes(before)) == ["added alerts", "changed forecast: inputSchema"]


@pytest.mark.parametrize("content", ["", "[]", '{"format": 2}', '{"format": 1, "server": "a b"}'])
def test_another_file_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)

    with pytest.raises(Violated, match=r"other\.json: expected a file that `arvo mcp pin`"):
        Pins.read(path)


def test_a_pin_that_lacks_a_field_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weather.lock.json"
    path.write_text('{"format": 1, "server": "weather", "tools": [{"name": "a"}]}')

    with pytest.raises(Violated, match="KeyError: 'description'"):
        Pins.read(path)


def test_the_command_pins_and_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A check in CI fails where the server has changed since."""
    root = Path(__file__).parents[2]
    script = tmp_path / "weather.sh"
    script.write_text(f"cd {root} && exec {sys.executable} -m tests.mcp.weather $1\n")
    file = str(tmp_path / "weather.lock.json")

    assert run_command(["mcp", "pin", file, "sh", str(script)]) == 0
    assert run_command(["mcp", "pin", file, "--check", "sh", str(script)]) == 0
    assert run_command(["mcp", "pin", file, "--check", "--json", "sh", str(script), "2"]) == 1
    assert run_command(["mcp", "pin", file, "sh", "-c", "exit 1"]) == 2
    assert run_command(["mcp", "pin", file]) == 2

    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "added forecast",
        '{"change":"changed forecast: inputSchema"}',
    ]
    assert "arvo: sh lists no tools: Connection closed" in captured.err
    assert "TARGET: expected the URL of an MCP server" in captured.err
