"""Killed agent: a process that runs an agent, and is killed in a call of its model or its tool."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from arvo import Runtime, System
from arvo.agents import Agent, Allow, Answer, Key, Prompt, ToolCall, by_tool
from tests.agents.support import begin, make_role, support

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = 120.0
SCRIPT: Final = (
    Answer("", (ToolCall("pay", '{"order_id":"o-1"}'), ToolCall("pay", '{"order_id":"o-2"}'))),
    Answer('{"answer": "Paid"}'),
)


def run_agent(url: str, log: Path, *, kill_at: int) -> int:
    """Run a process that begins the run and works on it; it is killed in its *kill_at*-th call, or
    ends when the run has ended. Return its exit code.
    """
    command = (sys.executable, "-m", __name__, url, str(log), str(kill_at))
    return subprocess.run(command, cwd=ROOT, check=False, timeout=SECONDS).returncode


def make_agent(log: Path, kill_at: int) -> Agent:
    """Make an agent whose model and tool write each call to a file."""
    left = kill_at

    def note(line: str) -> None:
        nonlocal left
        with log.open("a") as file:
            file.write(f"{line}\n")
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    async def think(prompt: Prompt) -> Answer:
        note(f"model {prompt.step}")
        return SCRIPT[prompt.step]

    async def pay(order_id: str, key: Key) -> str:
        """Pay an order back."""
        note(f"pay {order_id} {key}")
        return f"r-{order_id}"

    allow = by_tool({}, otherwise=Allow())
    return Agent(support, {"1.0.0": make_role(think, tools=[pay], policy=allow)})


async def work(url: str, log: str, kill_at: str) -> None:
    agent = make_agent(Path(log), int(kill_at))
    async with Runtime(System([*agent.handlers]), url) as runtime:
        event: Any = begin(workflow_id="help-1")
        await runtime.request(event, timeout=SECONDS)


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
