"""Storage: what an agent's run leaves on disk, and that later versions go on with it."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson
import pytest

from arvo import Event, HistoryEntry, Record, Runtime, System, run
from arvo.agents import Allow, Answer, Budget, ToolCall, Usage, by_tool
from arvo.testing.agents import scripted
from tests.agents.support import DONE, SCRIPT, Replied, begin, find_order, make_agent, make_system

CALLS: Final = 100
RESULT: Final = "y" * 5_000
FILE_BYTES_MAX: Final = 8_000_000
SYSTEM: Final = "an instruction that no record needs"
READ: Final = Answer(calls=(ToolCall("read_page", '{"number":1}'),), usage=Usage(1_000, 10))
# Runs that this version has stored, each with the events that it goes on with.
CORPUS: Final = sorted((Path(__file__).parent.parent / "data" / "agents").glob("*.json"))


def read_page(number: int) -> str:
    """Read one page."""
    return f"{number}{RESULT}"


async def read_pages(url: str) -> tuple[Event[Replied], tuple[HistoryEntry, ...]]:
    """Run an agent that reads a hundred pages, one after the other."""
    agent = make_agent(
        scripted([*[READ] * CALLS, DONE]),
        system=SYSTEM,
        tools=[read_page],
        policy=by_tool({"read_page": Allow()}),
        budget=Budget(steps=CALLS + 1),
    )
    async with Runtime(System(agent.handlers), backend=url) as runtime:
        event = begin()
        answer = await runtime.request(event, timeout=300)
        return answer, tuple(await runtime.history(event.subject))


def test_a_hundred_results_of_five_kilobytes_stay_under_eight_megabytes(tmp_path: Path) -> None:
    """A long run must not fill the disk, and its history holds no prompts."""
    answer, history = asyncio.run(read_pages(f"sqlite:///{tmp_path}/agents.db"))
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    assert answer.data == Replied("Paid back")
    # SQLite empties the log beside it from time to time, when it likes.
    assert len(files["agents.db"]) < FILE_BYTES_MAX
    assert SYSTEM not in "".join(map(str, history))
    assert not any(SYSTEM.encode() in content for content in files.values())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_run_that_an_earlier_version_has_stored_goes_on(path: Path) -> None:
    """A deployment must not lose the runs that wait for a person."""
    stored = orjson.loads(path.read_bytes())
    record, system = Record.from_dict(stored["record"]), make_system(scripted(SCRIPT))
    [agent] = [it for it in system.handlers if it.source == record.handler]
    model = agent.roles["1.0.0"].model  # type: ignore[union-attr]
    now = datetime.fromisoformat(stored["now"])
    events = [Event.from_dict(it) for it in stored["events"]]
    stubs = {model: model, find_order: lambda order_id, key: {"total": 42.0}}

    trace = run(system, *events, records={record.subject: record}, now=now, effects=stubs)

    assert not trace.violations
    assert trace.answer is not None
    assert trace.answer.data == Replied("Paid back")


def test_the_corpus_holds_each_kind_of_waiting() -> None:
    """An empty folder would test nothing."""
    assert [it.stem for it in CORPUS] == ["approval", "corrected", "undecided", "working"]
