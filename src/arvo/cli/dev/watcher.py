"""Watcher: runs the program of `arvo dev`, and starts it again when the code changes."""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Final, final

from attrs import define, field
from watchfiles import Change, PythonFilter, awatch

from arvo.cli.process.supervisor import describe_exit, wait_for_exit
from arvo.cli.terminal.load import BACKEND_VARIABLE
from arvo.cli.terminal.output import print_status
from arvo.interpreters.runtime.signals import on_interrupt

# How long handlers may finish before the code is loaded again.
STOP_SECONDS: Final = 5.0
# Time that a program has to close its backend, in addition to its handlers.
KILL_SECONDS: Final = 5.0
# Files that a line names: a change of branch may touch thousands.
NAMED_MAX: Final = 3


@final
@define(eq=False)
class Watcher:
    """Runs a process with the system *name* on *backend*, whose console *listening* serves.

    A change of Python code below *folder* starts it again. The socket is this process's own:
    a page that is opened meanwhile waits. A program that ends by itself is started again
    after the next change.
    """

    name: str
    backend: str
    listening: socket.socket
    folder: Path
    _stopping: asyncio.Event = field(factory=asyncio.Event, init=False)
    _program: Process | None = field(default=None, init=False)
    _ending: "asyncio.Task[None] | None" = field(default=None, init=False)
    _is_expected: bool = field(default=False, init=False)

    async def work(self) -> None:
        """Run until a signal stops it; a second one kills the program."""
        with on_interrupt(self._on_signal):
            changes = awatch(
                self.folder,
                watch_filter=PythonFilter(),
                stop_event=self._stopping,
                raise_interrupt=False,
            )
            change = asyncio.ensure_future(anext(changes, None))
            # It watches before the program reads the code, so that no change is missed.
            await asyncio.sleep(0)
            await self._start()
            while (changed := await change) is not None:
                change = asyncio.ensure_future(anext(changes, None))
                print_status(f"{self._name_files(changed)} changed: loading the code again")
                await self._stop()
                await self._start()
            await self._stop()
        print_status("stopped")

    def _name_files(self, changed: set[tuple[Change, str]]) -> str:
        names = sorted({os.path.relpath(path, self.folder) for _, path in changed})
        more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
        return ", ".join(names[:NAMED_MAX]) + more

    async def _start(self) -> None:
        if self._stopping.is_set():
            return
        descriptor = self.listening.fileno()
        self._is_expected = False
        # A session of its own: otherwise it would receive Ctrl-C besides this process's signal.
        self._program = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "arvo.cli.dev.program",
            self.name,
            str(descriptor),
            str(STOP_SECONDS),
            # Not an argument: every user of the machine can list those.
            env={**os.environ, BACKEND_VARIABLE: self.backend},
            stdin=PIPE,
            pass_fds=(descriptor,),
            start_new_session=True,
        )
        self._ending = asyncio.create_task(self._wait_for_end(self._program))

    async def _wait_for_end(self, program: Process) -> None:
        code = await wait_for_exit(program)
        if not self._is_expected:
            print_status(f"the program ended ({describe_exit(code)}): waiting for a change")

    async def _stop(self) -> None:
        """Let the program finish the events in hand; kill it if that takes too long."""
        program, self._is_expected = self._program, True
        if program is None or self._ending is None:
            return
        if program.returncode is None:
            program.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS + KILL_SECONDS):
                await asyncio.shield(self._ending)
        except TimeoutError:
            program.kill()
            await self._ending

    def _on_signal(self) -> None:
        if self._stopping.is_set() and self._program is not None:
            self._is_expected = True
            if self._program.returncode is None:
                self._program.kill()
        self._stopping.set()
