"""Worker: the process that runs the system, and is killed on purpose."""

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
    """One worker process on a SQLite file, replaced whenever it is killed.

    *kill_points*: the numbers of completed orders at which the next kills happen.
    """

    form: str
    url: str
    kill_points: list[int]
    kills: int = 0
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @classmethod
    def for_orders(cls, form: str, url: str, orders: int) -> "Worker":
        """Choose random kill points, one in each part of the run."""
        part = max(1, orders * 3 // 4 // KILLS)
        chance = random.SystemRandom()
        return cls(form, url, [part * kill + chance.randrange(part) for kill in range(KILLS)])

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

    def kill_if_due(self, completed: int) -> None:
        """Kill the worker at its next kill point, as a power cut would, and start a new one."""
        assert self._process is not None
        if self.kill_points and completed >= self.kill_points[0]:
            self.kill_points.pop(0)
            self._process.kill()
            self.kills += 1
        if self._process.poll() is not None:
            self._start()

    def _start(self) -> None:
        # A session of its own: Ctrl-C reaches the program, which then stops the worker.
        command = [sys.executable, "-m", "docs.examples.orders.worker", self.form, self.url]
        self._process = subprocess.Popen(command, start_new_session=True)  # noqa: S603


if __name__ == "__main__":
    asyncio.run(Runtime(SYSTEMS[sys.argv[1]], sys.argv[2]).serve())
