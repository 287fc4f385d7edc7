"""Causes: whether a call that was made twice has a reason: a worker that died in that very call.

It is found in what the workers wrote, not in how close two things are in time: which delivery a
call was made for, when the result of a call was stored, when a delivery was settled, and which
events a delivery led to.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from math import inf
from typing import Final

from attrs import frozen

from tests.end_to_end.book import Line
from tests.end_to_end.evidence import Evidence, Received
from tests.end_to_end.system import SIGNALS

# How long before the end of its process an ack may be one that a server forgets.
ACK_SECONDS: Final = 2.0
# The order of the calls of a workflow: those of one stage are made side by side.
STAGES: Final[Mapping[str, int]] = {
    "first": 1,
    "left": 2,
    "right": 2,
    "charge": 3,
    **{f"mark-{number}": 3 + number for number in range(1, SIGNALS + 1)},
    "last": 4 + SIGNALS,
    "refund": 5 + SIGNALS,
    "outcome": 5 + SIGNALS,
}
# The calls of event handlers and of listeners. No record shows that they were made, so a pair makes
# them again if their event was published twice, or if its acknowledgement was lost.
UNRECORDED_CALLS: Final = frozenset({"charge", "refund", "outcome"})

Span = tuple[float, float]


@frozen
class Performed:
    """One performance of a call: where it stands in the book, and when it began and ended."""

    line: Line
    position: int
    ended_at: float | None
    ended_position: float


@frozen(slots=False)
class Causes:
    """The faults in a book, to be compared with the calls that were made more than once.

    *is_paired*, *confirms_acks*: see `Place`.
    """

    lines: Sequence[Line]
    is_paired: bool = False
    confirms_acks: bool = True

    @cached_property
    def evidence(self) -> Evidence:
        """What the workers wrote about their deliveries."""
        return Evidence(self.lines)

    @cached_property
    def calls(self) -> Mapping[int, Sequence[Performed]]:
        """The calls of each workflow, in the order in which they began."""
        ended = {
            line.call: (line.at, float(position))
            for position, line in enumerate(self.lines)
            if line.kind == "end"
        }
        calls: dict[int, list[Performed]] = defaultdict(list)
        for position, line in enumerate(self.lines):
            if line.kind == "begin":
                ended_at, ended_position = ended.get(line.call, (None, inf))
                calls[line.run].append(Performed(line, position, ended_at, ended_position))
        return calls

    @cached_property
    def deaths(self) -> Mapping[int, Sequence[Span]]:
        """When each process ended that did not stop by itself."""
        began = {line.pid: line.at for line in self.lines if line.kind in ("killing", "poisoned")}
        return {
            line.pid: [(began[line.pid], line.at)]
            for line in self.lines
            if line.kind in ("killed", "died", "stopped") and line.pid in began
        }

    @cached_property
    def freezes(self) -> Mapping[int, Sequence[Span]]:
        """When each process was frozen, by us or by a busy machine, and went on."""
        began: dict[int, float] = {}
        freezes: dict[int, list[Span]] = defaultdict(list)
        for line in self.lines:
            if line.kind == "freezing":
                began[line.pid] = line.at
            elif line.kind == "thawed":
                freezes[line.pid].append((began[line.pid], line.at))
            elif line.kind == "stalled":
                freezes[line.pid].append((line.detail, line.at))
        return freezes

    @cached_property
    def outages(self) -> Sequence[Span]:
        """When a server was away. One that was killed delivers again what workers have in hand."""
        down = [line.at for line in self.lines if line.kind == "server down"]
        up = [line.at for line in self.lines if line.kind == "server up"]
        return list(zip(down, up, strict=True))

    @cached_property
    def stops(self) -> Mapping[int, Sequence[Span]]:
        """When each process was asked to stop, and had stopped."""
        began = {line.pid: line.at for line in self.lines if line.kind == "stopping"}
        return {
            line.pid: [(began[line.pid], line.at)]
            for line in self.lines
            if line.kind == "stopped" and line.pid in began
        }

    def of(self, first: Performed, again: Performed) -> str | None:
        """Return why a call was made *again* after the *first* time, None without a reason."""
        mine, other = self.evidence.of_call(first.line), self.evidence.of_call(again.line)
        if mine is None or other is None:
            return None
        if late := self.of_late(again):
            # It went on with a delivery that others have finished meanwhile.
            return late
        if other.attempt < mine.attempt:
            # It had arrived in its process before, and the server gave it to the other one since.
            since = self.evidence.emitted_at.get(other.event, inf)
            if _overlap(self.freezes.get(other.pid, ()), since, other.at):
                return "freeze"
            if _overlap(self.outages, since, other.at):
                return "outage"
        stored = mine.done_after(first.ended_position, first.line.call)
        # It reads the stored results some time after it has received the event.
        may_know_since = again.line.at if mine is other else other.at
        is_stored = stored is not None and stored.at < may_know_since
        if not is_stored:
            until = again.line.at if stored is None else min(stored.at, again.line.at)
            reason = self._fault(mine, until)
            if reason is not None and (reason != "death" or mine.pid != other.pid):
                return reason
        if first.line.key not in UNRECORDED_CALLS:
            return None
        # A server that was killed may have forgotten the first delivery, too.
        ended = mine.settled_at or inf
        is_redelivered = other.attempt > 1 or _overlap(self.outages, ended, other.at)
        if is_redelivered and self._is_ack_lost(mine):
            return "lost ack"
        if self.is_paired and mine is not other and self._is_published_twice(mine.event):
            return "published twice"
        return None

    def of_late(self, call: Performed) -> str | None:
        """Return why a process may not have known, when it made a call, that it had lost it."""
        received = self.evidence.of_call(call.line)
        if received is None:
            return None
        if _overlap(self.freezes.get(received.pid, ()), received.at, call.line.at):
            return "freeze"
        return "outage" if _overlap(self.outages, received.at, call.line.at) else None

    def _fault(self, received: Received, until: float) -> str | None:
        """Return what happened to a process while it had a delivery, up to a time."""
        if _overlap(self.deaths.get(received.pid, ()), received.at, until):
            return "death"
        if _overlap(self.freezes.get(received.pid, ()), received.at, until):
            return "freeze"
        return "outage" if _overlap(self.outages, received.at, until) else None

    def _is_ack_lost(self, received: Received) -> bool:
        """Return whether a server may have forgotten the ack of a delivery."""
        if self.confirms_acks or received.settled_at is None:
            return False
        settled_at, pid = received.settled_at, received.pid
        ends = [*self.stops.get(pid, ()), *self.deaths.get(pid, ()), *self.outages]
        return _overlap(ends, settled_at, settled_at + ACK_SECONDS)

    @cached_property
    def _sent(self) -> Counter[str]:
        """How often the harness sent each event."""
        return Counter(f"{line.key}-{line.run}" for line in self.lines if line.kind == "sent")

    def _is_published_twice(self, event: str) -> bool:
        """Return whether two workers had to publish an event, or the harness has sent copies.

        A worker that processes an event again does not know whether its output was published.
        """
        evidence = self.evidence
        received = [
            each
            for source in evidence.sources.get(event, ())
            for each in evidence.deliveries.get(source, ())
        ]
        return (
            self._sent[event] > 1
            or any(each.is_unanswered for each in received)
            or len({each.pid for each in received}) > 1
        )


def _overlap(spans: Sequence[Span], began: float, ended: float) -> bool:
    """Return whether one of *spans* has a moment in common with that from *began* to *ended*."""
    return any(start <= ended and began <= end for start, end in spans)
