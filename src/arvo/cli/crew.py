"""Crew: several worker processes on one backend, kept alive until they shall stop."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from typing import Final

from attrs import define, field

from arvo.cli.say import tell
from arvo.cli.worker import HOPELESS
from arvo.handlers.effect import Retry
from arvo.interpreters.interrupts import interrupts

# Waits before a worker that died is started again.
BACK_OFF: Final = Retry(attempts=100, delay=0.5, factor=2.0, jitter=0.0, longest=30.0)
# One that has worked so long had no trouble with starting.
STEADY_SECONDS: Final = 60.0
# What a worker that was told to stop at once may still take to let go of the backend.
KILL_SECONDS: Final = 5.0


@define(eq=False)
class Crew:
    """*size* processes, each a runtime of the system that *name* names on *backend*.

    Told to stop (SIGTERM or SIGINT), each finishes what it has in hand, for *grace* seconds at
    most; told again, it stops at once.
    """

    name: str
    backend: str
    size: int
    grace: float
    _running: dict[int, Process] = field(factory=dict, init=False)
    _asked: asyncio.Event = field(factory=asyncio.Event, init=False)
    _hopeless: bool = field(default=False, init=False)
    _interrupts: int = field(default=0, init=False)

    async def work(self) -> int:
        """Work until told to stop; gives the exit code."""
        with interrupts(self._interrupted):
            tell(f"{self.name} on {self.backend}, workers: {self.size}")
            async with asyncio.TaskGroup() as group:
                for number in range(1, self.size + 1):
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
            start_new_session=True,
        )
        self._running[number] = process
        tell(f"worker {number} started, process {process.pid}")
        if self._asked.is_set():
            process.terminate()
        code = await process.wait()
        del self._running[number]
        return code

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


def _said(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
