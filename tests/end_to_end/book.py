"""Book: lines that processes append to one file about what they did, outside of Arvo."""

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import orjson
from attrs import asdict, define, field, frozen

# Of a worker: the start of its process, the begin and the end of a call, that it is about to end
# itself, and that it did nothing since a time, as the machine was too busy; of its deliveries: that
# it received one, stored the results of its calls, begins to commit it with which events, settled
# it, and that the commit raised. Of the harness: what it sent, and what it did to a process or to
# the server.
Kind: TypeAlias = Literal[
    "started", "begin", "end", "poisoned", "stalled",
    "received", "stored", "committing", "settled", "unanswered",
    "sent", "killing", "killed", "died", "freezing", "thawed", "stopping", "stopped",
    "server down", "server up",
]  # fmt: skip

# No workflow: the number of lines about a process or the server.
NO_RUN: Final = -1


@frozen
class Line:
    """One line: process *pid* did *kind* at *at*, in seconds of a clock that all processes share.

    *run*: the number of the workflow. *key*: which call of the workflow, or which event. *call*:
    one performance of that call, its own for each. *delivery*: the delivery that it was made for.
    *detail*: JSON, of the kind.
    """

    kind: Kind
    pid: int
    run: int = NO_RUN
    key: str = ""
    call: str = ""
    detail: Any = None
    delivery: str = ""
    at: float = field(factory=time.monotonic)


@define
class Book:
    """The file, for one process. Lines of several processes stand in the order of their writes."""

    path: Path
    pid: int = field(factory=os.getpid)
    _file: int | None = None

    def write(self, kind: Kind, run: int = NO_RUN, key: str = "", **fields: Any) -> None:
        """Append a line; it survives the end of this process, however it ends."""
        if self._file is None:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        line = Line(kind, fields.pop("pid", self.pid), run, key, **fields)
        # One write, so that lines of several processes do not mix and no line is cut off.
        os.write(self._file, orjson.dumps(asdict(line)) + b"\n")

    def read(self) -> Sequence[Line]:
        """Return all lines, in the order in which they were written."""
        text = self.path.read_bytes() if self.path.exists() else b""
        return [Line(**orjson.loads(line)) for line in text.splitlines()]


@define(eq=False)
class Progress:
    """Reads a book while it is written, from any thread.

    *changed_at*: when a call last ended.
    """

    book: Book
    changed_at: float = field(factory=time.monotonic, init=False)
    _ended: set[int] = field(factory=set, init=False)
    _calls: set[tuple[int, str]] = field(factory=set, init=False)
    _at: int = field(default=0, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    @property
    def outcomes(self) -> int:
        """How many workflows have an outcome."""
        with self._lock:
            self._read()
            return len(self._ended)

    def has_ended(self, run: int, key: str) -> bool:
        """Return whether a call of a workflow has ended."""
        with self._lock:
            self._read()
            return (run, key) in self._calls

    def _read(self) -> None:
        with self.book.path.open("rb") as file:
            file.seek(self._at)
            text = file.read()
        # The last line may be under way.
        text = text[: text.rfind(b"\n") + 1]
        self._at += len(text)
        for line in map(orjson.loads, text.splitlines()):
            if line["kind"] == "end":
                self.changed_at = time.monotonic()
                self._calls.add((line["run"], line["key"]))
                if line["key"] == "outcome":
                    self._ended.add(line["run"])
