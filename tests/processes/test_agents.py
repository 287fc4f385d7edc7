"""Agents: a killed process repeats at most the call in hand, with the same key."""

import asyncio
import signal
from collections import Counter
from pathlib import Path

import pytest

from arvo import Client, SqliteBackend, System
from tests.processes.killed_agent import make_agent, run_agent


@pytest.mark.parametrize("kill_at", [1, 2, 4])
def test_a_killed_process_repeats_at_most_the_calls_in_hand(tmp_path: Path, kill_at: int) -> None:
    """In its first call of the model, in one of two tools at once, and in its last call."""
    path, log = tmp_path / "arvo.db", tmp_path / "log"

    codes = [run_agent(f"sqlite:///{path}", log, kill_at=each) for each in (kill_at, 0)]

    assert codes == [-signal.SIGKILL, 0]
    lines = log.read_text().splitlines()
    killed, after = lines[:kill_at], lines[kill_at:]
    # The last call, and the tool that ran beside it.
    repeated = set(killed) & set(after)
    assert killed[-1] in repeated
    assert repeated <= {killed[-1], *(it for it in killed if it.startswith("pay"))}
    assert all(number <= 2 for number in Counter(lines).values())
    keys = {line.split()[1]: line.split()[2] for line in lines if line.startswith("pay")}
    assert len(set(keys.values())) == 2
    assert {line for line in lines if line.startswith("pay")} == {
        f"pay {order} {key}" for order, key in keys.items()
    }
    assert [line for line in dict.fromkeys(lines) if line.startswith("model")] == [
        "model 0",
        "model 1",
    ]

    async def check() -> None:
        system = System([*make_agent(log, 0).handlers])
        async with Client(system, SqliteBackend(str(path))) as client:
            state = await client.query("help-1")
        texts = [it.text for it in state.messages if it.role == "tool"]
        assert sorted(texts) == ['{"value":"r-o-1"}', '{"value":"r-o-2"}']

    asyncio.run(check())
