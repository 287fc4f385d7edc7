"""Worker: the process that does the work, made to be killed."""

import asyncio
import random
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Final, Self

from attrs import define, field

from arvo import Runtime
from docs.examples.orders.systems import SYSTEMS

KILLS: Final = 3


@define
class Worker:
    """One worker process on a file, and a new one in its place whenever it is killed.

    *moments*: how many orders are through when the next kills come.
    """

    form: str
    url: str
    moments: list[int]
    kills: int = 0
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @classmethod
    def for_day(cls, form: str, url: str, orders: int) -> "Worker":
        """Choose moments by chance, each in another part of the day."""
        part = max(1, orders * 3 // 4 // KILLS)
        chance = random.SystemRandom()
        return cls(form, url, [part * each + chance.randrange(part) for each in range(KILLS)])

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
            self._process.kill()
            self._process.wait()

    def watch(self, through: int) -> None:
        """Kill it if its moment has come, as a power cut would, and start another."""
        assert self._process is not None
        if self.moments and through >= self.moments[0]:
            self.moments.pop(0)
            self._process.kill()
            self.kills += 1
        if self._process.poll() is not None:
            self._start()

    def _start(self) -> None:
        command = [sys.executable, "-m", "docs.examples.orders.worker", self.form, self.url]
        self._process = subprocess.Popen(command)  # noqa: S603 - words of our own


if __name__ == "__main__":
    asyncio.run(Runtime(SYSTEMS[sys.argv[1]], sys.argv[2]).serve())
