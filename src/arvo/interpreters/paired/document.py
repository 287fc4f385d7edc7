"""Held: what a pair keeps of one workflow, in one value of a store that can compare and set."""

from base64 import urlsafe_b64encode
from collections.abc import Container, Iterator
from datetime import datetime
from typing import Any, Final, TypeAlias, final

import orjson
from attrs import evolve, field, frozen

from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.violation import Violated
from arvo.interpreters.delivery.codec import digest_of, letter_bytes, letter_of
from arvo.interpreters.ports.backend import Corrupt, DeadLetter
from arvo.interpreters.ports.broker import EncodedMessage
from arvo.interpreters.ports.machine_memory import Stored

# Consumptions that are remembered with a workflow: some 3 KB, written at each turn. A redelivery
# comes soon or never; what is older is still known by the record itself, but for signals.
JOURNAL_MAX: Final = 128
# Outputs of other processes that are kept without knowing whether they were sent.
UNSENT_MAX: Final = 8
FORMAT: Final = 1
# What an operator's change is named in the journal; no digest has a colon.
AMENDED: Final = "amended:"

# Names one turn: what was consumed, and the revision that the record had after it. A workflow that
# is revived may consume an event once more, and that is another turn.
Mark: TypeAlias = tuple[str, int]


@final
@frozen
class Output:
    """What followed from one consumed event, in order."""

    messages: tuple[EncodedMessage, ...] = ()
    letters: tuple[DeadLetter, ...] = ()


@final
@frozen
class Line:
    """One consumption: its *digest*, and its *output*, as long as that may have to be sent again.

    *turn*: the revision that the record had after it; 0 where that no longer matters.
    """

    digest: str
    turn: int = 0
    output: Output | None = None

    @property
    def mark(self) -> Mark:
        """Name the turn."""
        return self.digest, self.turn


@final
@frozen
class Held:
    """A workflow's record and journal, and when it began and last changed; *revision* is the
    store's own, 0 for nothing.
    """

    record: Record | None = None
    journal: tuple[Line, ...] = ()
    revision: int = 0
    began: datetime | None = None
    changed: datetime | None = None
    _digests: frozenset[str] = field(init=False, eq=False, repr=False)

    @_digests.default
    def _of_journal(self) -> frozenset[str]:
        return frozenset(line.digest for line in self.journal)

    @property
    def turn(self) -> int:
        """The revision of the record, 0 where there is none."""
        return 0 if self.record is None else self.record.revision

    def line(self, digest: str) -> Line | None:
        """Find a consumption."""
        if digest not in self._digests:
            return None
        return next(line for line in reversed(self.journal) if line.digest == digest)

    def overdue(self, sent: Container[Mark]) -> list[Line]:
        """Give the oldest lines whose output must be sent before they can be followed by more."""
        unsent = [each for each in self.journal if each.output and each.mark not in sent]
        return unsent[: max(0, len(unsent) - UNSENT_MAX + 1)]

    def after(self, record: Record, line: Line, sent: Container[Mark], now: datetime) -> "Held":
        """Say what is held after a turn: outputs that were *sent* are no longer needed."""
        lines = [
            Line(each.digest) if each.output and each.mark in sent else each
            for each in self.journal
        ]
        journal = tuple(_newest([*lines, line]))
        began = now if self.began is None else self.began
        return evolve(self, record=record, journal=journal, began=began, changed=now)

    def without(self, digests: Container[str]) -> "Held":
        """Forget that some events were consumed."""
        journal = tuple(line for line in self.journal if line.digest not in digests)
        return evolve(self, journal=journal)

    @property
    def amendments(self) -> list[Line]:
        """Give the lines that no delivery reminds anybody of."""
        return [line for line in self.journal if line.digest.startswith(AMENDED) and line.output]

    def to_bytes(self) -> bytes:
        """Write it; the revision is the store's to say."""
        record = None if self.record is None else self.record.to_dict()
        journal = [_said(line) for line in self.journal]
        times = {"began": self.began, "changed": self.changed}
        return orjson.dumps({"arvo": FORMAT, "record": record, "journal": journal, **times})

    @staticmethod
    def of(stored: Stored | None) -> "Held":
        """Read what `to_bytes` wrote; raises `Corrupt` where it did not."""
        if stored is None:
            return Held()
        said = content_of(stored, "record", "journal", "began", "changed")
        try:
            record = None if said["record"] is None else Record.from_dict(said["record"])
            journal = tuple(map(_line, said["journal"]))
            began, changed = map(_time, (said["began"], said["changed"]))
            return Held(record, journal, stored.revision, began, changed)
        except (Violated, ValueError, TypeError, KeyError) as error:
            raise unreadable(error) from error


def digest(handler: str, event: Event[Any]) -> str:
    """Name a consumption in 22 characters: this handler, this event, this subject."""
    found = digest_of(handler, event)
    return urlsafe_b64encode(found).decode().rstrip("=")


def content_of(stored: Stored, *keys: str) -> dict[str, Any]:
    """Read a value of ours as JSON; raises `Corrupt` where it is none, or of a later format."""
    try:
        content = orjson.loads(stored.record)
    except ValueError as error:
        raise unreadable(error) from error
    if not isinstance(content, dict) or content.get("arvo") != FORMAT:
        raise unreadable(f"not of format {FORMAT}")
    if missing := [key for key in keys if key not in content]:
        raise unreadable(f"without {', '.join(missing)}")
    return content


def unreadable(why: object) -> Corrupt:
    """Say that a store holds what we did not write."""
    remedy = "restore it from a backup, or run the version that wrote it"
    return Corrupt(f"the memory holds a value that cannot be read ({why}): {remedy}")


def _time(said: str | None) -> datetime | None:
    return None if said is None else datetime.fromisoformat(said)


def _newest(lines: list[Line]) -> Iterator[Line]:
    """Keep the newest lines, and any whose output is still needed."""
    extra = len(lines) - JOURNAL_MAX
    for position, line in enumerate(lines):
        if position >= extra or line.output is not None:
            yield line


def _said(line: Line) -> object:
    if line.output is None:
        return line.digest
    messages = [each.to_dict() for each in line.output.messages]
    dead_letters = [orjson.Fragment(letter_bytes(each)) for each in line.output.letters]
    return [line.digest, line.turn, messages, dead_letters]


def _line(said: Any) -> Line:
    if isinstance(said, str):
        return Line(said)
    found, turn, messages, dead_letters = said
    output = Output(
        tuple(map(EncodedMessage.from_dict, messages)),
        tuple(letter_of(orjson.dumps(each)) for each in dead_letters),
    )
    return Line(found, turn, output)
