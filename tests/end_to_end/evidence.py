"""Evidence: the deliveries that the workers wrote down, and what became of each."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property

from attrs import define, field, frozen

from tests.end_to_end.book import Line


@frozen
class Mark:
    """A line by its position in the book and its time. *calls*: whose results are stored, None for
    all of the delivery.
    """

    position: int
    at: float
    calls: frozenset[str] | None = None


@define(eq=False)
class Received:
    """A delivery of an *event* to process *pid*, for the *attempt*-th time.

    *stored*: when results of its calls were stored. *settled_at*: when it was settled, None if it
    was not. *is_unanswered*: its commit raised, so its output may be published again.
    """

    event: str
    pid: int
    attempt: int
    at: float
    stored: list[Mark] = field(factory=list)
    settled_at: float | None = None
    is_unanswered: bool = False

    def done_after(self, position: float, call: str) -> Mark | None:
        """Return when the result of a call that ended at a position was stored, None if never."""
        return next(
            (
                mark
                for mark in self.stored
                if mark.position > position and (mark.calls is None or call in mark.calls)
            ),
            None,
        )


@frozen(slots=False)
class Evidence:
    """The deliveries in a book."""

    lines: Sequence[Line]

    @cached_property
    def _by_name(self) -> Mapping[str, Received]:
        """The deliveries by their names in the book, in the order in which they were received."""
        found: dict[str, Received] = {}
        in_hand: dict[tuple[int, str], Received] = {}
        for position, line in enumerate(self.lines):
            if line.kind == "received":
                received = Received(line.key, line.pid, line.detail, line.at)
                before = in_hand.get((line.pid, line.key))
                if before is not None and before.settled_at is None:
                    # A process that puts an event off has had it all the time.
                    received.at = before.at
                in_hand[line.pid, line.key] = found[line.delivery] = received
            elif line.kind == "stored":
                mark = Mark(position, line.at, frozenset(line.detail))
                found[line.delivery].stored.append(mark)
            elif line.kind == "settled":
                received = found[line.delivery]
                received.stored.append(Mark(position, line.at))
                received.settled_at = line.at
            elif line.kind == "unanswered":
                found[line.delivery].is_unanswered = True
        return found

    @cached_property
    def deliveries(self) -> Mapping[str, Sequence[Received]]:
        """The deliveries of each event."""
        deliveries: dict[str, list[Received]] = defaultdict(list)
        for received in self._by_name.values():
            deliveries[received.event].append(received)
        return deliveries

    @cached_property
    def sources(self) -> Mapping[str, set[str]]:
        """The events whose turns emitted each event."""
        sources: dict[str, set[str]] = defaultdict(set)
        for line in self.lines:
            if line.kind == "committing":
                consumed, *emitted = line.detail
                for event in emitted:
                    sources[event] |= {line.key, consumed}
        return sources

    @cached_property
    def emitted_at(self) -> Mapping[str, float]:
        """When each event was first emitted, or sent by the harness."""
        emitted: dict[str, float] = {}
        for line in self.lines:
            if line.kind == "sent":
                emitted.setdefault(f"{line.key}-{line.run}", line.at)
            elif line.kind == "committing":
                for event in line.detail[1:]:
                    emitted.setdefault(event, line.at)
        return emitted

    def of_call(self, line: Line) -> Received | None:
        """Return the delivery for which a call was made."""
        return self._by_name.get(line.delivery)
