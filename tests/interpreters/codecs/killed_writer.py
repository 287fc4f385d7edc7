"""Killed writer: a process that is killed when it has written a blob, before the commit."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from attrs import define
from obstore.store import LocalStore

from arvo import Event, Runtime
from arvo.interpreters.codecs.blobs import ObstoreBlobs
from arvo.interpreters.codecs.offloaded import Offloaded
from tests.interpreters.codecs.documents import SOURCE, TIMEOUT, Document, reading, system

ROOT: Final = Path(__file__).parents[3]
OVER: Final = 2_000
TEXT: Final = "page " * 1_000
KEYS: Final = ("document-1", "document-2")


def run_writer(url: str, folder: Path, *, kill_at: int) -> int:
    """Run a process that begins the workflows and works; it is killed after its *kill_at*-th blob,
    or ends when all is done. Return its exit code.
    """
    command = (sys.executable, "-m", __name__, url, str(folder), str(kill_at))
    return subprocess.run(command, cwd=ROOT, check=False, timeout=TIMEOUT).returncode


def begin_event(key: str) -> Event[Any]:
    """Return the same event in each process."""
    init = reading["1.0.0"].init
    return init(Document(f"{key} {TEXT}"), source=SOURCE, workflow_id=key, id=f"begin-{key}")


def open_blobs(folder: Path) -> ObstoreBlobs:
    return ObstoreBlobs(LocalStore(folder, mkdir=True))


@define
class KillingBlobs:
    """The blobs of a folder, in a process that dies."""

    blobs: ObstoreBlobs
    kill_at: int
    name: str = "folder"

    def put(self, key: str, content: bytes) -> None:
        self.blobs.put(key, content)
        if "/" in key:
            self.kill_at -= 1
        if not self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def get(self, key: str, bytes_max: int) -> bytes:
        return self.blobs.get(key, bytes_max)

    def days(self) -> Sequence[date]:
        return self.blobs.days()

    def keys(self, day: date) -> Iterator[Sequence[str]]:
        return self.blobs.keys(day)

    def delete(self, keys: Sequence[str]) -> None:
        self.blobs.delete(keys)

    def delete_unfinished(self, day: date) -> int:
        return self.blobs.delete_unfinished(day)


async def work(url: str, folder: str, kill_at: str) -> None:
    codec = Offloaded(KillingBlobs(open_blobs(Path(folder)), int(kill_at)), OVER)
    async with Runtime(system, url, codec=codec) as runtime:
        # What the process that dies at once has sent is sent by no other one.
        for key in ("lost",) if kill_at == "1" else KEYS:
            await runtime.send(begin_event(key))
        await runtime.drain(TIMEOUT)


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
