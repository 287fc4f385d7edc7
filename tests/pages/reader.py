"""Reader: a folder, a shell and a Python that last as long as a page."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.pages import module
from tests.pages.page import RunPython, RunShell, WriteFile, lacks

# A block may download packages; one that takes longer than this hangs.
BLOCK_SECONDS_MAX: Final = 180.0
DONE: Final = "done\n"
# The port of the console on pages: another program of this machine may have it.
CONSOLE_PORT: Final = ":8300"
# Below the ports that a kernel gives to whatever asks for any.
PORTS: Final = range(20_000, 30_000)


class Reader:
    """Does the steps of one page in *folder*; each method returns what went wrong, or nothing.

    The reader works in the folder `work` below it, where nothing else lies.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._work = folder / "work"
        self._work.mkdir()
        self._environment = environment
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._files: list[str] = []
        self._blocks = 0
        self._port = f":{_free_port()}"

    def write(self, step: WriteFile) -> str:
        path = self._work / step.path
        if step.is_appended and not path.is_file():
            return f"it adds to {step.path}, which no step before it has written"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if step.is_appended else "w") as file:
            # Two blank lines, as a reader leaves between what was there and what is new.
            file.write(f"\n\n{step.text}" if step.is_appended else step.text)
        if path.suffix == ".py":
            self._files.append(step.text)
        return ""

    def run_shell(self, step: RunShell) -> str:
        """Run a block in the shell of the page, which has variables and jobs of earlier blocks."""
        block, printed, result = self._next_files("sh")
        block.write_text(step.text.replace(CONSOLE_PORT, self._port))
        shell = self._start("bash", "--noprofile", "--norc", "-eo", "pipefail")
        line = f". {block} >{printed} 2>&1 </dev/null; echo done >{result}\n"
        problem = self._send(shell, line, result)
        text = printed.read_text(errors="replace") if printed.exists() else ""
        if problem:
            return f"{problem}\n{step.text}\nprinted:\n{text}"
        missing = None if step.output is None else lacks(step.output, text)
        return "" if missing is None else f"expected the line {missing!r} in the output:\n{text}"

    def run_python(self, step: RunPython) -> str:
        """Run a block in the page's module, which has the Python of its files, too."""
        texts, self._files = [*self._files, step.text], []
        for text in texts:
            block, _, result = self._next_files("py")
            block.write_text(text)
            python = self._start("python", str(module.__file__))
            problem = self._send(python, f"{block} {result}\n", result)
            if problem:
                return f"{problem}\n{text}"
        return ""

    def stop(self) -> None:
        """End the shell and the Python with all processes that the page has left running."""
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def _next_files(self, suffix: str) -> tuple[Path, Path, Path]:
        """Return the paths of the next block, of what it prints, and of its result."""
        self._blocks += 1
        stem = self._folder / f"block-{self._blocks}"
        return stem.with_suffix(f".{suffix}"), stem.with_suffix(".out"), stem.with_suffix(".end")

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        """Return the process of *command*, which one page starts once."""
        if command[0] not in self._processes:
            self._processes[command[0]] = subprocess.Popen(
                command,
                cwd=self._work,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                # A group of its own, so that stop() finds what it has started.
                start_new_session=True,
            )
        return self._processes[command[0]]

    def _send(self, process: subprocess.Popen[bytes], line: str, result: Path) -> str:
        """Send a block to a process and wait for its result; return what went wrong."""
        assert process.stdin is not None
        process.stdin.write(line.encode())
        process.stdin.flush()
        deadline = time.monotonic() + BLOCK_SECONDS_MAX
        # A result is whole when its last line is there.
        while not (result.exists() and (text := result.read_text()).endswith(DONE)):
            if process.poll() is not None and not result.exists():
                return f"this block ended with exit code {process.returncode}:"
            if time.monotonic() > deadline:
                return f"this block has not ended within {BLOCK_SECONDS_MAX:g} seconds:"
            time.sleep(0.02)
        return text.removesuffix(DONE)


def _free_port() -> int:
    while True:
        # Not the port 0, whose answer the next program that asks for any port may get as well.
        port = random.choice(PORTS)  # noqa: S311 - a port is no secret
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
