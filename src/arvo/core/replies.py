"""Replies: the replies to the pending requests of a workflow, oldest first."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any, Final, final

from attrs import define, field, frozen

from arvo.construct import constructor
from arvo.core.events.event import Event
from arvo.core.payloads.frozen_json import FrozenDict


@final
@define(eq=False)
class _Grouped:
    """The first *count* replies by event type, as *reader* reads them.

    *places*: the place of each request among the pending ones. *groups*: by event type, the places
    and the events, in the order of the places.
    """

    reader: object
    places: Mapping[str, int]
    count: int = 0
    groups: dict[str, tuple[list[int], list[Event[Any]]]] = field(factory=dict)


@final
@define(eq=False)
class _Log:
    """The replies that a run of records shares: each record has the first ones of them.

    *by_request*: the places in *events* of the replies to each request, in the order of its first
    reply. *grouped*: what `Replies.grouped` has read so far.
    """

    events: list[Event[Any]] = field(factory=list)
    by_request: dict[str, list[int]] = field(factory=dict)
    grouped: _Grouped | None = None

    def append(self, event: Event[Any]) -> None:
        """Add a reply, which no record before has."""
        self.by_request.setdefault(event.parentid or "", []).append(len(self.events))
        self.events.append(event)


@final
@frozen(eq=False, repr=False, init=False, weakref_slot=False)
class Replies:
    """The replies that came so far, in the order in which they came.

    A reply names its request as its parent. `add` takes the same time however many came before, so
    a workflow may wait for thousands: the replies of a record and of the one after it share what
    both have, the first *count* replies of *log*. Neither of them changes.
    """

    log: _Log
    count: int

    def __init__(self, events: Iterable[Event[Any]] = ()) -> None:
        log = _Log()
        for event in events:
            log.append(event)
        self.__attrs_init__(log, len(log.events))

    def __len__(self) -> int:
        return self.count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Replies) and self.events == other.events

    def __hash__(self) -> int:
        return hash(self.events)

    def __repr__(self) -> str:
        return f"Replies({self.events!r})"

    @property
    def events(self) -> tuple[Event[Any], ...]:
        """All of them."""
        return tuple(islice(self.log.events, self.count))

    def added_since(self, earlier: "Replies") -> tuple[Event[Any], ...] | None:
        """Return those that came after *earlier*; None if these replies do not follow from it."""
        if self.log is not earlier.log or self.count < earlier.count:
            return None
        return tuple(self.log.events[earlier.count : self.count])

    @property
    def requests(self) -> AbstractSet[str]:
        """The ids of the requests that have a reply, in the order of their first reply."""
        by_request = self.log.by_request
        if self._is_newest:
            return by_request.keys()
        return {id_: None for id_, places in by_request.items() if places[0] < self.count}.keys()

    def to(self, request: str | None) -> tuple[Event[Any], ...]:
        """Return the replies to the request with that id."""
        places = self.log.by_request.get(request or "", ())
        return tuple(self.log.events[place] for place in places if place < self.count)

    def add(self, event: Event[Any]) -> "Replies":
        """Return the replies with one more."""
        # Where a record has two successors, as after a turn that was not committed, the second one
        # shares nothing. All workflows begin with the same empty replies.
        log = self.log
        if not self.count or not self._is_newest:
            log = _Log()
            for earlier in islice(self.log.events, self.count):
                log.append(earlier)
        log.append(event)
        return _make(log, self.count + 1)

    def grouped(
        self,
        reader: object,
        read: Callable[[Event[Any]], Event[Any]],
        pending: Iterable[str],
    ) -> Mapping[str, tuple[Event[Any], ...]]:
        """Return the replies by event type, each group in the order of its requests in *pending*.

        Each reply is passed through *read* once for each *reader*, however often replies are added.
        """
        memo = self.log.grouped
        if memo is None or memo.reader is not reader or memo.count > self.count:
            memo = _Grouped(reader, {id_: place for place, id_ in enumerate(pending)})
            self.log.grouped = memo
        for event in islice(self.log.events, memo.count, self.count):
            place = memo.places.get(event.parentid or "", len(memo.places))
            places, events = memo.groups.setdefault(event.type, ([], []))
            at = bisect_right(places, place)
            content = read(event)
            places.insert(at, place)
            events.insert(at, content)
            memo.count += 1
        return FrozenDict({name: tuple(events) for name, (_, events) in memo.groups.items()})

    @property
    def _is_newest(self) -> bool:
        return self.count == len(self.log.events)


_make: Final = constructor(Replies)
NO_REPLIES: Final = Replies()
