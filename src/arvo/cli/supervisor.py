"""Crew: several worker processes on one backend, kept alive until they shall stop."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from typing import Final

from attrs import define, field

from arvo.cli.heartbeat import HUNG_SECONDS, Pulse
from arvo.cli.output import tell
from arvo.cli.worker import HOPELESS
from arvo.handlers.effect import Retry
from arvo.interpreters.runtime.signals import interrupts

# Waits before a worker that died is started again.
BACK_OFF: Final = Retry(attempts=100, delay=0.5, factor=2.0, jitter=0.0, longest=30.0)
# One that has worked so long had no trouble with starting.
STEADY_SECONDS: Final = 60.0
# What a worker that was told to stop, or to stop at once, may take beside what handlers may: to let
# go of the backend.
KILL_SECONDS: Final = 5.0
# How long one look at a worker takes at most.
LOOK_SECONDS: Final = 1.0


@define(eq=False)
class Crew:
    """*size* processes, each a runtime of the system that *name* names on *backend*.

    Told to stop (SIGTERM or SIGINT), each finishes what it has in hand, for *grace* seconds at
    most; told again, it stops at once. One whose event loop has not turned for *hung* seconds is
    killed, and another one started.
    """

    name: str
    backend: str
    size: int
    grace: float
    hung: float = HUNG_SECONDS
    pulses: Mapping[int, Pulse] = field(init=False)
    _running: dict[int, Process] = field(factory=dict, init=False)
    _asked: asyncio.Event = field(factory=asyncio.Event, init=False)
    _hopeless: bool = field(default=False, init=False)
    _interrupts: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.pulses = {number: Pulse() for number in range(1, self.size + 1)}

    @property
    def is_ready(self) -> bool:
        """Whether every worker is ready, and none is told to stop."""
        now = asyncio.get_running_loop().time()
        return not self._asked.is_set() and all(
            pulse.is_ready(now) for pulse in self.pulses.values()
        )

    async def work(self) -> int:
        """Work until told to stop; gives the exit code."""
        with interrupts(self._interrupted):
            tell(f"{self.name} on {self.backend}, workers: {self.size}")
            async with asyncio.TaskGroup() as group:
                for number in self.pulses:
                    group.create_task(self._keep(number))
        tell("stopped")
        return HOPELESS if self._hopeless else 0

    async def _keep(self, number: int) -> None:
        """Keep one worker alive."""
        clock, deaths = asyncio.get_running_loop().time, 0
        while not self._asked.is_set():
            began = clock()
            code = await self._once(number)
            if self._asked.is_set():
                return
            if code == HOPELESS:
                tell(f"worker {number} cannot work, and no other would")
                self._hopeless = True
                self._interrupted()
                return
            deaths = 1 if clock() - began > STEADY_SECONDS else deaths + 1
            wait = BACK_OFF.wait_after(deaths)
            tell(f"worker {number} ended ({_said(code)}), again in {wait:g} s")
            await self._pause(wait)

    async def _once(self, number: int) -> int:
        # A session of its own: Ctrl-C would else reach it beside what we tell it.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "arvo.cli.worker",
            self.name,
            self.backend,
            str(self.grace),
            stdin=PIPE,
            stdout=PIPE,
            start_new_session=True,
        )
        self._running[number] = process
        self.pulses[number].began(process.pid)
        tell(f"worker {number} started, process {process.pid}")
        if self._asked.is_set():
            process.terminate()
        await self._listen(number, process)
        code = await _ended(process)
        self.pulses[number].ended()
        del self._running[number]
        return code

    async def _listen(self, number: int, process: Process) -> None:
        """Hear a worker's beats until it ends; kill it where none has come for too long."""
        assert process.stdout is not None
        clock, silent = asyncio.get_running_loop().time, 0
        while process.returncode is None:
            said = await _heard(process.stdout)
            if said == b"":
                return
            if said is not None:
                silent = 0
                self.pulses[number].heard(said, clock())
                continue
            # Looks are counted, and no time taken: whoever was stopped itself, and goes on, would
            # find that all others had been silent.
            silent += 1
            if silent * LOOK_SECONDS >= self.hung:
                tell(f"worker {number} hangs: no heartbeat for {self.hung:g} s, killing it")
                process.kill()
                return

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        except TimeoutError:
            return

    def _interrupted(self) -> None:
        self._interrupts += 1
        if not self._asked.is_set():
            tell("finishing what is in hand (tell me again to stop at once)")
            asyncio.get_running_loop().call_later(self.grace + KILL_SECONDS, self._kill)
        elif self._interrupts == 2:
            tell("stopping at once")
            asyncio.get_running_loop().call_later(KILL_SECONDS, self._kill)
        self._asked.set()
        for process in self._running.values():
            process.terminate()

    def _kill(self) -> None:
        # A plain function that runs in a thread cannot be stopped in another way.
        for process in self._running.values():
            process.kill()


async def _heard(beats: asyncio.StreamReader) -> bytes | None:
    """Read beats, an empty text when they have ended; None where there is none at this look."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await beats.read(1024)
    except TimeoutError:
        return None


async def _ended(process: Process) -> int:
    # Not `process.wait()`: what the worker has forked may have its pipes for long, and Python waits
    # for those as well.
    while process.returncode is None:  # noqa: ASYNC110 - nothing public tells of it
        await asyncio.sleep(LOOK_SECONDS / 20)
    assert process.stdin is not None
    process.stdin.close()
    return process.returncode


def _said(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
