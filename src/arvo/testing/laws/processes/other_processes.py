"""Other processes: find a step that has another result where strings have other hashes.

Python chooses the hash of strings anew for each process, and with it the order of sets. A worker
that takes over a delivery after a crash has other hashes than the worker before.
"""

import atexit
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any, Final, cast, final

import cloudpickle
from attrs import define, field, frozen

from arvo.engine.system.system import System
from arvo.testing.laws.processes.replay import ReplayedStep, first_difference, replay
from arvo.testing.laws.processes.worker import read_frame, write_frame

# A set of two strings has one of two orders. With three more processes, seven of eight handlers
# that depend on the order of one constant set of two are found, and almost all others.
PROCESSES: Final = 3
# Steps that are repeated of one check.
STEPS_MAX: Final = 500
# A handler that waits for something outside of it must not stop the check.
ANSWER_SECONDS: Final = 60.0


@final
@frozen
class Disagreement:
    """The number of a step (from 0), and the first difference of its two results."""

    position: int
    here: str
    there: str


@final
@define
class _Process:
    """A process with a hash seed of its own, and the thread that reads its answers."""

    seed: int
    _process: "subprocess.Popen[bytes]" = field(init=False)
    _reader: threading.Thread = field(init=False)
    _answers: "queue.Queue[bytes | None]" = field(factory=queue.Queue, init=False)

    def __attrs_post_init__(self) -> None:
        folders = [folder for folder in sys.path if folder]
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(self.seed),
            "PYTHONPATH": os.pathsep.join(folders),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "arvo.testing.laws.processes.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        answer: bytes | None = b""
        while answer is not None:
            answer = read_frame(cast("Any", self._process.stdout))
            self._answers.put(answer)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def send(self, request: bytes) -> None:
        try:
            write_frame(cast("Any", self._process.stdin), request)
        except OSError:
            self._answers.put(None)

    def receive(self) -> Any:
        """Return the next answer; a text is the error of the process."""
        try:
            answer = self._answers.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            self.end()
            return f"no answer within {ANSWER_SECONDS} s"
        return "it ended" if answer is None else pickle.loads(answer)  # noqa: S301 - our process

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


# Started once: a process takes a second to import the kit. They end with this one.
_processes: list[_Process] = []


def find_disagreement(system: System, steps: Sequence[ReplayedStep]) -> Disagreement | str | None:
    """Repeat *steps* in other processes, and return the first that has another result there.

    Returns a reason, as text, if they cannot be repeated there; None if all results are equal.
    """
    repeated = steps[:STEPS_MAX]
    here = replay(system, repeated)
    try:
        job = cloudpickle.dumps((system, list(repeated)))
    except Exception as error:  # noqa: BLE001 - a handler may hold anything
        return f"the handler cannot be sent to another process: {type(error).__name__}: {error}"
    request = pickle.dumps(([folder or os.getcwd() for folder in sys.path], job))  # noqa: PTH109
    processes = start_processes()
    for process in processes:
        process.send(request)
    answers = [process.receive() for process in processes]
    for there in answers:
        if isinstance(there, str):
            return f"another process cannot run the handler: {there}"
        for position, results in enumerate(zip(here, there, strict=True)):
            if results[0] != results[1]:
                return Disagreement(position, *first_difference(*results))
    return None


def start_processes() -> list[_Process]:
    """Start the processes, unless they run; they answer as soon as they have imported the kit."""
    for process in [process for process in _processes if not process.is_alive()]:
        process.end()
        _processes.remove(process)
    own = os.environ.get("PYTHONHASHSEED", "random")
    used = {own, *(str(process.seed) for process in _processes)}
    free = (seed for seed in range(1, 2 * PROCESSES + 2) if str(seed) not in used)
    while len(_processes) < PROCESSES:
        _processes.append(_Process(next(free)))
    return list(_processes)


@atexit.register
def _end_processes() -> None:
    for process in _processes:
        process.end()
