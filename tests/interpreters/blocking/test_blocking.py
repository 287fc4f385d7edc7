"""Blocking: scripts and threads use a runtime as ordinary functions."""

import asyncio
import inspect
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from arvo import (
    BlockingClient,
    BlockingRuntime,
    Client,
    Contract,
    Domain,
    Emit,
    Event,
    EventHandler,
    HistoryEntry,
    Runtime,
    System,
    Version,
    Violated,
    WorkflowEnded,
    blocking,
)
from tests.shop import OrderFulfilled, order_request, shop

TIMEOUT_SECONDS = 180.0
# What leaving the block does, and what a program uses in place of the block.
LEFT_OUT = {"stop", "serve"}


def _coroutines(kind: type[Any]) -> set[str]:
    return {
        name
        for name, member in inspect.getmembers_static(kind)
        if not name.startswith("_") and inspect.iscoroutinefunction(member)
    }


def test_every_method_has_its_counterpart() -> None:
    """A method that a script lacks would make its author start an event loop after all."""
    assert _coroutines(Client) <= set(dir(BlockingClient))
    assert _coroutines(Runtime) - set(dir(BlockingRuntime)) == LEFT_OUT
    plain = {name for name in dir(Runtime) if not name.startswith("_")} - _coroutines(Runtime)
    assert plain - set(dir(BlockingRuntime)) == {"is_observed", "slots", "wait_counts"}


def test_a_method_says_what_it_does() -> None:
    """`help` and an editor show the text and the arguments of the method that it stands for."""
    with blocking(Client(shop, "memory:")) as client:
        assert client.describe.__doc__ == Client.describe.__doc__
        assert list(inspect.signature(client.describe).parameters) == ["workflow"]
    assert BlockingClient.describe.__doc__ == Client.describe.__doc__


def test_a_request_returns_its_answer() -> None:
    """The first thing that a script does."""
    with blocking(Runtime(shop)) as runtime:
        answer = runtime.request(order_request(), timeout=TIMEOUT_SECONDS)
        stats = runtime.drain(timeout=TIMEOUT_SECONDS)
        (workflow,) = runtime.workflows()
        history = runtime.history(workflow.record.subject)

    assert isinstance(answer.data, OrderFulfilled)
    assert workflow.record.status == "done"
    assert history[-1].event == answer
    assert stats.handled > 1
    assert not runtime.is_working


def test_a_workflow_is_watched_by_a_plain_loop() -> None:
    """Each entry of its history, then its end; a loop that is left watches no more."""
    with blocking(Runtime(shop)) as runtime:
        event = order_request()
        runtime.request(event, timeout=TIMEOUT_SECONDS)
        items = list(runtime.watch(event.subject))
        history = runtime.history(event.subject)
        for _ in runtime.watch(event.subject, after=2):
            break
        left = runtime.watch(event.subject)
        next(left)

    assert [item for item in items if isinstance(item, HistoryEntry)] == list(history)
    assert isinstance(items[-1], WorkflowEnded)
    with pytest.raises(Violated, match="the client is closed"):
        next(left)


def test_threads_share_a_runtime() -> None:
    """Each request of a web server has a thread of its own."""
    with blocking(Runtime(shop)) as runtime, ThreadPoolExecutor(8) as threads:
        events = [order_request(f"order-{number}") for number in range(16)]
        answers = list(threads.map(runtime.request, events))

    assert [type(answer.data) for answer in answers] == [OrderFulfilled] * len(events)
    assert len({answer.subject for answer in answers}) == len(events)


def test_an_error_is_that_of_the_method() -> None:
    """What went wrong, and no error of the wrapper."""
    with blocking(Runtime(shop)) as runtime:
        with pytest.raises(Violated, match="order-1"):
            runtime.describe("order-1")
        client = runtime
    with pytest.raises(Violated, match="the client is closed"):
        client.depth()


def test_what_is_no_client_is_refused() -> None:
    """A system or a URL is the likely mistake, and the text shows the call."""
    with (
        pytest.raises(Violated, match=r"blocking\(Runtime\(system, url\)\)"),
        blocking(shop),  # type: ignore[call-overload]
    ):
        pass


def test_it_works_in_a_running_loop() -> None:
    """A cell of a notebook runs inside of a loop."""

    async def cell() -> object:
        with blocking(Runtime(shop)) as runtime:
            return runtime.request(order_request(), timeout=TIMEOUT_SECONDS).data

    assert isinstance(asyncio.run(cell()), OrderFulfilled)


def test_listeners_are_plain_functions_that_may_use_the_runtime() -> None:
    """A listener of a domain answers by `send`, which blocks its own thread only."""
    asked = threading.Event()
    handler = Contract(
        uri="#/contracts/blocking",
        type="com.blocking.ask",
        domain="human",
        versions={"1.0.0": Version(accepts={}, emits={"evt.blocking.asked": {}})},
    )
    out = Domain.FROM_SELF_CONTRACT
    ask = EventHandler(
        handler, {"1.0.0": lambda _: Emit({}, type="evt.blocking.asked", domain=out)}
    )

    with blocking(Runtime(System([ask]))) as runtime:

        @runtime.on_domain("human")
        def listen(_: Event[Any]) -> None:
            assert runtime.depth().total >= 0
            asked.set()

        runtime.send(handler["1.0.0"].accepts({}, source="com.blocking.test"))
        assert asked.wait(TIMEOUT_SECONDS)
        with pytest.raises(Violated, match="human"):
            runtime.on_domain("human")(listen)


SCRIPT = """
import signal, sys, time
from contextlib import ExitStack
from arvo import Contract, Effects, Event, EventHandler, Runtime, System, Version, blocking, call

# As in a terminal: a shell starts its background jobs without.
signal.signal(signal.SIGINT, signal.default_int_handler)
contract = Contract(
    uri="#/contracts/slow", type="com.slow", versions={"1.0.0": Version(accepts={}, emits={})}
)

def work() -> None:
    print("working", flush=True)
    time.sleep(0.3)

def slow(event: Event[object]) -> Effects[None]:
    yield from call(work)

system = System([EventHandler(contract, {"1.0.0": slow}, on_error="dead-letter")])
event = contract["1.0.0"].accepts({}, source="com.blocking.test")
"""
WITH_BLOCK = """
with blocking(Runtime(system, sys.argv[1])) as runtime:
    runtime.send(event)
    runtime.drain()
    time.sleep(3600)
"""
LEFT_OPEN = """
stack = ExitStack()
runtime = stack.enter_context(blocking(Runtime(system, sys.argv[1])))
runtime.send(event)
runtime.drain()
print("open", flush=True)
"""


def test_ctrl_c_ends_a_script_after_the_delivery_in_progress(tmp_path: Path) -> None:
    """The effect is not cut off, and its event is not handled again."""
    url = f"sqlite:///{tmp_path}/script.db"
    with _start(WITH_BLOCK, url) as script:
        assert script.stdout is not None
        assert script.stdout.readline() == "working\n"
        script.send_signal(signal.SIGINT)
        _, errors = script.communicate(timeout=TIMEOUT_SECONDS)

    assert script.returncode == -signal.SIGINT
    assert errors.endswith("KeyboardInterrupt\n")
    with blocking(Client(System([]), url)) as client:
        assert client.depth().total == 0
        assert client.dead_letters() == ()


def test_a_program_that_does_not_leave_the_block_ends(tmp_path: Path) -> None:
    """A web server ends whenever it is told to, and no thread of ours holds it."""
    with _start(LEFT_OPEN, f"sqlite:///{tmp_path}/script.db") as script:
        output, errors = script.communicate(timeout=TIMEOUT_SECONDS)

    assert (script.returncode, output, errors) == (0, "working\nopen\n", "")


@contextmanager
def _start(text: str, url: str) -> Iterator["subprocess.Popen[str]"]:
    script = subprocess.Popen(
        [sys.executable, "-c", SCRIPT + text, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # A script that never prints must not hold the test.
    killer = threading.Timer(2 * TIMEOUT_SECONDS, script.kill)
    killer.start()
    try:
        yield script
    finally:
        killer.cancel()
        script.kill()
        script.communicate()
