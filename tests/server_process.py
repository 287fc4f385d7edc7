"""Server process: starts a server for tests, and stops it with the process that started it."""

import atexit
import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from attrs import define, field

# Generous: a loaded machine is slow to start a process.
READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
# Linux gives connections ports from 32,768, others from 49,152.
PORTS: Final = (20_000, 32_000)
# The locked files of the ports that this process has chosen.
_RESERVED: Final[list[IO[str]]] = []


@define(eq=False)
class Server:
    """A server of one test run.

    *url*: its address. *command*: starts it. *is_ready*: whether it answers. *folder*: its files
    and its log. *user*: runs it, None for the current user. *stop_signal*: stops it at once.
    *before_restart*: waits until what it must not lose is in its files.

    It stops with this process, however that ends: a guard process runs it, and stops it when the
    pipe to this process is closed.
    """

    url: str
    command: Sequence[str]
    is_ready: Callable[[], bool]
    folder: Path
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGKILL
    before_restart: Callable[[], None] = lambda: None
    _guard: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def start(self) -> None:
        """Start it, on the same port and files each time; returns when it answers."""
        guard = [sys.executable, __file__, self.user or "", str(int(self.stop_signal))]
        with (self.folder / "log").open("ab") as log:
            self._guard = subprocess.Popen(
                [*guard, *self.command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # A signal to our process group must not reach the guard before it has stopped the
                # server.
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if self._guard.poll() is not None or time.monotonic() > deadline:
                log_end = (self.folder / "log").read_text(errors="replace")[-2000:]
                raise AssertionError(f"{self.command[0]} did not start: {log_end}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop it without a warning, as when its machine is switched off."""
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            self._guard.wait(STOP_SECONDS)
            self._guard = None

    def restart(self) -> None:
        """Stop it, and start it again with the files that it has written."""
        self.before_restart()
        self.stop()
        self.start()


def make_folder(name: str) -> Path:
    """Make a folder that is deleted when this process ends."""
    # Not in the folder of pytest: some systems limit the path of a socket to 104 bytes.
    folder = Path(tempfile.mkdtemp(prefix=f"arvo-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def free_port() -> int:
    """Return a port on which no process listens now, and that no test process gets after this one.

    Below those that systems give to connections: a server that restarts needs its port again, and
    a connection of another test may have taken it meanwhile.
    """
    while True:
        port = random.randint(*PORTS)  # noqa: S311 - no secret
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            _reserve(port)
            return port


def _reserve(port: int) -> None:
    """Keep a port for this process until it ends; raises `OSError` if another one keeps it.

    A server listens some time after its port was chosen, and not while it restarts.
    """
    folder = Path(tempfile.gettempdir()) / f"arvo-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    file = (folder / str(port)).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    _RESERVED.append(file)


def answers(port: int, request: bytes, first: bytes = b"") -> bool:
    """Return True if the server answers *request* with *first*.

    Redis answers with an error while it still reads its file.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(request)
            answer = connection.recv(1)
            return bool(answer) and answer.startswith(first)
    except OSError:
        return False


def _guard_server(user: str, stop_signal: int, command: Sequence[str]) -> None:
    """Run a server until the parent process closes the pipe on our stdin, or ends."""
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        user=user or None,
        start_new_session=True,
        cwd=tempfile.gettempdir(),
    )
    os.set_blocking(0, True)
    try:
        while server.poll() is None and os.read(0, 1):
            pass
    finally:
        server.send_signal(stop_signal)
        server.wait()


if __name__ == "__main__":
    _guard_server(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
