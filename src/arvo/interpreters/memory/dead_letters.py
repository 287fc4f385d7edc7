"""Dead letters: the dead letters of the memory backend, in order of time, and by subject."""

from bisect import bisect_right, insort
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import final

from attrs import define, field

from arvo.interpreters.delivery.codec import to_milliseconds
from arvo.interpreters.delivery.operations import (
    DeadLetterQuery,
    GroupKey,
    dead_letter_key,
    group_dead_letters,
    group_key,
)
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.ports.results import DeadLetterGroup


@final
@define(eq=False)
class MemoryDeadLetters:
    """The dead letters that *retention* allows; the oldest are removed, by the clock *now*.

    Their age counts from the time they were stored: the clock of a runtime may be that of a test.
    """

    retention: Retention
    now: Callable[[], datetime]
    _by_id: dict[str, DeadLetter] = field(factory=dict, init=False)
    _group_keys: dict[str, GroupKey] = field(factory=dict, init=False)
    # Milliseconds, in the order in which they were stored.
    _stored_at: dict[str, int] = field(factory=dict, init=False)
    # Sorted: appending to the end, as nearly all do, moves nothing.
    _keys: list[tuple[int, str]] = field(factory=list, init=False)
    _keys_by_subject: dict[str, list[tuple[int, str]]] = field(factory=dict, init=False)

    def add(self, dead_letter: DeadLetter) -> None:
        """Store a dead letter; one with the same id is replaced."""
        self.remove(dead_letter.id)
        key = dead_letter_key(dead_letter)
        self._by_id[dead_letter.id] = dead_letter
        self._group_keys[dead_letter.id] = group_key(dead_letter)
        self._stored_at[dead_letter.id] = to_milliseconds(self.now())
        insort(self._keys, key)
        insort(self._keys_by_subject.setdefault(dead_letter.event.subject, []), key)
        self._sweep()

    def get(self, id_: str) -> DeadLetter | None:
        """Return the dead letter with this id."""
        return self._by_id.get(id_)

    def page(self, query: DeadLetterQuery) -> tuple[DeadLetter, ...]:
        """List dead letters, oldest first."""
        return tuple(self._by_id[id_] for _, id_ in islice(self._select(query), query.limit))

    def groups(self, query: DeadLetterQuery) -> tuple[DeadLetterGroup, ...]:
        """Count dead letters in groups, the largest first."""
        selected = ((self._group_keys[id_], at) for at, id_ in self._select(query))
        return group_dead_letters(query, selected)

    def _select(self, query: DeadLetterQuery) -> Iterator[tuple[int, str]]:
        self._sweep()
        keys = self._keys
        if query.subject is not None:
            keys = self._keys_by_subject.get(query.subject, [])
        start = 0 if query.after is None else bisect_right(keys, dead_letter_key(query.after))
        for at, id_ in islice(keys, start, None):
            if query.selects(self._by_id[id_].event.subject, self._group_keys[id_], at):
                yield at, id_

    def remove(self, id_: str) -> bool:
        """Delete a dead letter; False if there is none with this id."""
        dead_letter = self._by_id.pop(id_, None)
        if dead_letter is None:
            return False
        del self._stored_at[id_], self._group_keys[id_]
        key, subject = dead_letter_key(dead_letter), dead_letter.event.subject
        for keys in (self._keys, self._keys_by_subject[subject]):
            del keys[bisect_right(keys, key) - 1]
        if not self._keys_by_subject[subject]:
            del self._keys_by_subject[subject]
        return True

    def _sweep(self) -> None:
        oldest = self.retention.oldest_dead_letter(to_milliseconds(self.now()))
        number = len(self._by_id)
        while self._stored_at and next(iter(self._stored_at.values())) < oldest:
            self.remove(next(iter(self._stored_at)))
        while len(self._keys) > self.retention.dead_letters_max:
            self.remove(self._keys[0][1])
        self.retention.log_removal(number - len(self._by_id))
