"""Supervisor: several worker processes on one backend, restarted when they die."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from typing import Final

from attrs import define, field

from arvo.cli.process.heartbeat import HANG_SECONDS, Heartbeat
from arvo.cli.process.log import LogOptions
from arvo.cli.process.telemetry import WORKER_VARIABLE
from arvo.cli.process.worker import EXIT_UNRECOVERABLE
from arvo.cli.terminal.load import BACKEND_VARIABLE
from arvo.handlers.effect import Retry
from arvo.interpreters.delivery.backend_url import show_url
from arvo.interpreters.runtime.signals import on_interrupt
from arvo.interpreters.services.this_process import SUPERVISED_VARIABLE, supervised

# Delays before a worker that died is restarted.
BACK_OFF: Final = Retry(attempts=100, delay=0.5, factor=2.0, jitter=0.0, longest=30.0)
# A worker that ran for this long had no trouble starting: its count of deaths begins anew.
STEADY_SECONDS: Final = 60.0
# Time that a stopping worker has, in addition to its handlers, to close its backend.
KILL_SECONDS: Final = 5.0
# The interval at which a worker is polled.
POLL_SECONDS: Final = 1.0


@define(eq=False)
class Supervisor:
    """Runs *size* worker processes, each with a runtime of the system *name* on *backend*.

    On SIGTERM or SIGINT each worker finishes its events in progress, for at most *shutdown_timeout*
    seconds; a second signal stops it at once. A worker whose event loop has not run for
    *hang_timeout* seconds is killed and restarted. *log*: how all processes write their log.
    *otel*: the workers export spans and metrics.
    """

    name: str
    backend: str
    size: int
    shutdown_timeout: float
    hang_timeout: float = HANG_SECONDS
    log: LogOptions = field(factory=LogOptions)
    otel: bool = False
    heartbeats: Mapping[int, Heartbeat] = field(init=False)
    _running: dict[int, Process] = field(factory=dict, init=False)
    _stopping: asyncio.Event = field(factory=asyncio.Event, init=False)
    _unrecoverable: bool = field(default=False, init=False)
    _signal_count: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.heartbeats = {number: Heartbeat() for number in range(1, self.size + 1)}

    @property
    def is_ready(self) -> bool:
        """Whether every worker is ready and the supervisor is not stopping."""
        now = asyncio.get_running_loop().time()
        return not self._stopping.is_set() and all(
            heartbeat.is_ready(now) for heartbeat in self.heartbeats.values()
        )

    async def work(self) -> int:
        """Supervise the workers until a signal stops them, and return the exit code."""
        with on_interrupt(self._on_signal):
            self.log.report(f"{self.name} on {show_url(self.backend)}, workers: {self.size}")
            async with asyncio.TaskGroup() as group:
                for number in self.heartbeats:
                    group.create_task(self._supervise(number))
        self.log.report("stopped")
        return EXIT_UNRECOVERABLE if self._unrecoverable else 0

    async def _supervise(self, number: int) -> None:
        """Restart one worker whenever it exits, until the supervisor stops."""
        clock, deaths = asyncio.get_running_loop().time, 0
        while not self._stopping.is_set():
            began = clock()
            code = await self._run_worker(number)
            if self._stopping.is_set():
                return
            if code == EXIT_UNRECOVERABLE:
                self.log.report(
                    f"worker {number} cannot run, and a restart would not help: stopping"
                )
                self._unrecoverable = True
                self._on_signal()
                return
            deaths = 1 if clock() - began > STEADY_SECONDS else deaths + 1
            wait = BACK_OFF.wait_after(deaths)
            self.log.report(
                f"worker {number} ended ({describe_exit(code)}), restarting in {wait:g} s"
            )
            await self._back_off(wait)

    async def _run_worker(self, number: int) -> int:
        # A session of its own: otherwise it would receive Ctrl-C besides the supervisor's signal.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "arvo.cli.process.worker",
            self.name,
            str(self.shutdown_timeout),
            self.log.format,
            self.log.level,
            # Not an argument: every user of the machine can list those.
            env={
                **os.environ,
                BACKEND_VARIABLE: self.backend,
                WORKER_VARIABLE: str(number) if self.otel else "",
                SUPERVISED_VARIABLE: supervised(number, self.heartbeats[number].starts + 1),
            },
            stdin=PIPE,
            stdout=PIPE,
            start_new_session=True,
        )
        self._running[number] = process
        self.heartbeats[number].started(process.pid)
        self.log.report(f"worker {number} started, process {process.pid}")
        if self._stopping.is_set():
            process.terminate()
        await self._watch(number, process)
        code = await wait_for_exit(process)
        self.heartbeats[number].exited()
        del self._running[number]
        return code

    async def _watch(self, number: int, process: Process) -> None:
        """Read a worker's heartbeats until it exits; kill it after `hang_timeout` without one."""
        assert process.stdout is not None
        clock, silent = asyncio.get_running_loop().time, 0
        while process.returncode is None:
            beats = await _read_heartbeats(process.stdout)
            if beats == b"":
                return
            if beats is not None:
                silent = 0
                self.heartbeats[number].received(beats, clock())
                continue
            # Polls are counted instead of time measured: a supervisor that was itself stopped
            # (SIGSTOP) would find every worker silent when it continues.
            silent += 1
            if silent * POLL_SECONDS >= self.hang_timeout:
                silence = f"no heartbeat for {self.hang_timeout:g} s"
                self.log.report(f"worker {number} hangs: {silence}, killing it")
                process.kill()
                return

    async def _back_off(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _on_signal(self) -> None:
        self._signal_count += 1
        if not self._stopping.is_set():
            self.log.report("finishing events in progress (signal again to stop at once)")
            asyncio.get_running_loop().call_later(self.shutdown_timeout + KILL_SECONDS, self._kill)
        elif self._signal_count == 2:
            self.log.report("stopping at once")
            asyncio.get_running_loop().call_later(KILL_SECONDS, self._kill)
        self._stopping.set()
        for process in self._running.values():
            process.terminate()

    def _kill(self) -> None:
        # A function that runs in a thread cannot be stopped in any other way.
        for process in self._running.values():
            process.kill()


async def _read_heartbeats(beats: asyncio.StreamReader) -> bytes | None:
    """Read heartbeats; b"" at the end of the stream, None if none arrived within one poll."""
    try:
        async with asyncio.timeout(POLL_SECONDS):
            return await beats.read(1024)
    except TimeoutError:
        return None


async def wait_for_exit(process: Process) -> int:
    """Wait until a process with a pipe to its standard input has exited; return its code."""
    # Not `process.wait()`: it also waits for the pipes, which a child of the worker may hold open.
    while process.returncode is None:  # noqa: ASYNC110 - asyncio has no public event for it
        await asyncio.sleep(POLL_SECONDS / 20)
    assert process.stdin is not None
    process.stdin.close()
    return process.returncode


def describe_exit(code: int) -> str:
    """Return in words how a process ended."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
