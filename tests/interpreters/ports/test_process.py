"""Process: an open backend is refused by name in a process that was forked from its own."""

import subprocess
import sys
from pathlib import Path

import pytest

# In a process of its own: a test runner with threads must not fork.
PROGRAM = """
import asyncio, os, sys
from arvo import Client, Runtime, Violated
from arvo.interpreters.runtime.backends import backend_from_url
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Message
from tests.shop import charge_request, shop

url, use = sys.argv[1:]

async def use_in_child(backend, runtime):
    match use:
        case "send":
            await runtime.send(charge_request("c2"))
        case "request":
            await runtime.request(charge_request("c2"), timeout=30)
        case "dead letters":
            await runtime.dead_letters()
        case "backend":
            await backend.send(Message(charge_request("c2"), ToHandler("com.payment.charge", None)))
        case "another":
            async with Client(shop, url) as client:
                await client.send(charge_request("c2"))

async def go():
    backend = backend_from_url(url)
    async with Runtime(shop, backend) as runtime:
        await runtime.send(charge_request("c1"))
        child = os.fork()
        if not child:
            try:
                asyncio.run(use_in_child(backend, runtime))
                print("sent", flush=True)
            except Violated as violated:
                print(violated, flush=True)
            os._exit(0)
        await asyncio.to_thread(os.waitpid, child, 0)
        stats = await runtime.drain(timeout=30)
        print(stats.handled)

asyncio.run(go())
"""


def run(url: str, use: str) -> list[str]:
    """Fork while a runtime is open; return what the child and then the parent have printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, url, use],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("use", ["send", "request", "dead letters"])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_forked_runtime_is_refused(tmp_path: Path, kind: str, use: str) -> None:
    """Its tasks and threads are in the other process: the call would wait for ever."""
    url = "memory:" if kind == "memory" else f"sqlite:///{tmp_path / 'a.db'}"

    child, parent = run(url, use)

    assert "this Runtime was opened before a fork: process: expected the process that" in child
    assert parent == "1"


def test_a_forked_backend_is_refused(tmp_path: Path) -> None:
    """Also without a runtime around it."""
    child, parent = run(f"sqlite:///{tmp_path / 'a.db'}", "backend")

    assert "this SqliteBackend was opened before a fork" in child
    assert parent == "1"


def test_a_file_that_the_parent_has_open_is_refused(tmp_path: Path) -> None:
    """SQLite believes that the child holds its parent's locks, and would take none."""
    child, parent = run(f"sqlite:///{tmp_path / 'a.db'}", "another")

    assert "this file was opened before a fork: process: expected the process that" in child
    assert "fork before you open it, or spawn processes" in child
    assert parent == "1"
