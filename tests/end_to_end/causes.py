"""Causes: whether a call that was made twice has a reason: a worker that died in that very call."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from math import inf
from typing import Final

from attrs import frozen

from tests.end_to_end.book import Line
from tests.end_to_end.system import SIGNALS

# How long after a call its result may still not be stored, on a loaded machine.
STORE_SECONDS: Final = 2.0
# How long a process may go on before it notices that it has lost its deliveries, after it was
# frozen or its server was away.
THAW_SECONDS: Final = 5.0
# How long a process needs to end itself.
POISON_SECONDS: Final = 0.5
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


@frozen
class Performed:
    """One performance of a call: where it stands in the book, and when it began and ended."""

    line: Line
    position: int
    ended_at: float | None

    @property
    def stage(self) -> int:
        """The stage of the call."""
        return STAGES[self.line.key]

    @property
    def stored_by(self) -> float:
        """When its result is stored at the latest."""
        return (self.line.at if self.ended_at is None else self.ended_at) + STORE_SECONDS


@frozen(slots=False)
class Causes:
    """The faults in a book, to be compared with the calls that were made more than once.

    *is_paired*, *confirms_acks*: see `Place`.
    """

    lines: Sequence[Line]
    is_paired: bool = False
    confirms_acks: bool = True

    @cached_property
    def calls(self) -> Mapping[int, Sequence[Performed]]:
        """The calls of each workflow, in the order in which they began."""
        ended = {line.call: line.at for line in self.lines if line.kind == "end"}
        calls: dict[int, list[Performed]] = defaultdict(list)
        for position, line in enumerate(self.lines):
            if line.kind == "begin":
                calls[line.run].append(Performed(line, position, ended.get(line.call)))
        return calls

    @cached_property
    def deaths(self) -> Mapping[int, tuple[float, float]]:
        """Between which times each process ended that did not stop by itself."""
        began = {line.pid: line.at for line in self.lines if line.kind == "killing"}
        # It ends at once; the line of its end comes when that is noticed.
        poisoned = {line.pid: line.at for line in self.lines if line.kind == "poisoned"}
        killed = [line for line in self.lines if line.kind == "killed"]
        return {line.pid: (began[line.pid], line.at) for line in killed} | {
            pid: (at, at + POISON_SECONDS) for pid, at in poisoned.items()
        }

    @cached_property
    def freezes(self) -> Mapping[int, Sequence[tuple[float, float]]]:
        """When each process was frozen and went on."""
        began: dict[int, float] = {}
        freezes: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for line in self.lines:
            if line.kind == "freezing":
                began[line.pid] = line.at
            elif line.kind == "thawed":
                freezes[line.pid].append((began[line.pid], line.at))
        return freezes

    @cached_property
    def outages(self) -> Sequence[tuple[float, float]]:
        """When a server was away, and until when a worker may not know what it lost by that.

        A server that was killed may deliver again what workers have in hand.
        """
        down = [line.at for line in self.lines if line.kind == "server down"]
        up = [line.at + THAW_SECONDS for line in self.lines if line.kind == "server up"]
        return list(zip(down, up, strict=True))

    @cached_property
    def stops(self) -> Mapping[int, Sequence[tuple[float, float]]]:
        """When each process was asked to stop, and had stopped."""
        began = {line.pid: line.at for line in self.lines if line.kind == "stopping"}
        return {
            line.pid: [(began[line.pid], line.at)] for line in self.lines if line.kind == "stopped"
        }

    def of(self, first: Performed, again: Performed) -> str | None:
        """Return why a call was made *again* after the *first* time, None without a reason."""
        if self._is_thawed(again):
            # It went on with a delivery that others have finished meanwhile.
            return "freeze"
        if self._is_behind(first, again):
            return self._published_twice(first, again)
        if first.line.pid != again.line.pid and self._is_in_hand(
            first, again, [self.deaths.get(first.line.pid, (inf, inf))]
        ):
            return "death"
        if self._is_in_hand(first, again, self.freezes.get(first.line.pid, ())):
            return "freeze"
        if self._is_in_hand(first, again, self.outages):
            return "outage"
        if not self.confirms_acks and first.line.key in UNRECORDED_CALLS:
            stops = self.stops.get(first.line.pid, ())
            if self._is_in_hand(first, again, stops):
                return "lost ack"
        return self._published_twice(first, again)

    def _is_in_hand(
        self, first: Performed, again: Performed, faults: Sequence[tuple[float, float]]
    ) -> bool:
        """Return whether a fault came after the first call began and before its result was stored,
        and the call was made again after that.
        """
        return any(
            first.line.at <= ended and began <= min(first.stored_by, again.line.at)
            for began, ended in faults
        )

    def _is_thawed(self, again: Performed) -> bool:
        """Return whether a call is the first one of its workflow after its process was frozen."""
        return any(
            ended <= again.line.at <= ended + THAW_SECONDS
            and not any(
                other.line.pid == again.line.pid
                and ended <= other.line.at
                and other.stage < again.stage
                for other in self.calls[again.line.run]
            )
            for _, ended in self.freezes.get(again.line.pid, ())
        )

    def _is_behind(self, first: Performed, again: Performed) -> bool:
        """Return whether the workflow went on behind the first call: its result was stored.

        A cancelled workflow ends without the results of its services.
        """
        return any(
            first.position < other.position < again.position
            and first.stage < other.stage < STAGES["outcome"]
            for other in self.calls[first.line.run]
        )

    def _flow_pids(self, first: Performed) -> set[int]:
        """Return the processes that may have published the event that led to a call."""
        calls = self.calls[first.line.run]
        is_complete = any(other.line.key == "last" for other in calls)
        if first.line.key == "outcome" and not is_complete:
            # It was cancelled or refused, in a step that made no call: the book does not name its
            # process.
            return {*self.deaths, *self.freezes}
        return {
            other.line.pid
            for other in calls
            if other.stage < first.stage and other.position < first.position
        }

    def _published_twice(self, first: Performed, again: Performed) -> str | None:
        """Return why the event that led to a call may have been published twice on a pair."""
        if not self.is_paired or first.line.key not in UNRECORDED_CALLS:
            return None
        flow_pids = self._flow_pids(first)
        begun = next(it for it in self.calls[first.line.run] if it.line.key == first.line.key)
        earliest = begun.line.at - THAW_SECONDS
        for pid in flow_pids | {first.line.pid}:
            began, ended = self.deaths.get(pid, (inf, inf))
            if earliest <= ended and began <= again.line.at:
                return "published twice"
            for began, ended in self.freezes.get(pid, ()):
                if began <= again.line.at and earliest <= ended:
                    return "published twice"
        if any(began <= again.line.at and earliest <= up for began, up in self.outages):
            return "published twice"
        return None
