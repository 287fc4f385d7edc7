"""Document: the record and the journal of one workflow, as one value in a machine memory."""

from base64 import urlsafe_b64encode
from collections.abc import Container, Iterable, Iterator
from datetime import datetime
from typing import Any, Final, TypeAlias, final

import orjson
from attrs import evolve, field, frozen

from arvo.core.events.event import Event
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.record import Record
from arvo.core.violations.violation import Violated
from arvo.interpreters.codecs.codec import Place
from arvo.interpreters.codecs.content import decode_content
from arvo.interpreters.delivery.codec import (
    consumption_digest,
    decode_dead_letter,
    encode_dead_letter,
)
from arvo.interpreters.paired.documents.codec import message_from_dict, message_to_dict
from arvo.interpreters.ports.broker import EncodedMessage
from arvo.interpreters.ports.errors import Corrupt
from arvo.interpreters.ports.index import HistoryBlock
from arvo.interpreters.ports.machine_memory import Stored
from arvo.interpreters.ports.messages import DeadLetter

# Consumptions that a document remembers: some 6 KB, written at each turn. A redelivery comes soon
# or never, and the record itself recognises older events, except for signals.
JOURNAL_MAX: Final = 128
# Checkpoints that a document holds; the events of a workflow are delivered one at a time.
PROGRESS_MAX: Final = 4
# Cancellations that a document holds: one is enough, unless the workflow cannot handle it.
CANCELLATIONS_MAX: Final = 4
# Outputs of other processes that a document holds without knowing whether they were sent.
UNSENT_MAX: Final = 8
FORMAT: Final = 1
# The digest of an operator's change begins with this; no digest of an event has a colon.
REPLACED: Final = "replaced:"

# Identifies one turn: the digest of the consumed event, and the revision of the record after it. A
# workflow that is revived may consume the same event once more, in another turn.
TurnKey: TypeAlias = tuple[str, int]


@final
@frozen
class Output:
    """The messages, timers included, and the dead letters of one consumption, in order.

    *answers*: the ids of the events among the messages that answer a signal.
    """

    messages: tuple[EncodedMessage, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    answers: tuple[str, ...] = ()


@final
@frozen
class Consumption:
    """A journal entry: the *digest* of a consumption, and its *output* while that may be unsent.

    *turn*: the revision of the record after it; 0 where that no longer matters. *content*: the
    `inbox_digest` of the consumed event, empty where an earlier version has stored none.
    """

    digest: str
    turn: int = 0
    output: Output | None = None
    content: str = ""

    @property
    def key(self) -> TurnKey:
        """The key of its turn."""
        return self.digest, self.turn


@final
@frozen
class WorkflowDocument:
    """A workflow's record and journal, and the times it began and last changed.

    *revision* is the revision of the value in the store, 0 where there is none. *progress* maps the
    digest of an event, not consumed yet or by the last turn, to the checkpoint of its turn.
    *cancellations*: those that were published and not consumed, oldest first. *history_length*: the
    number of the entries of its history, where the pair has an index. *unindexed*: those of them
    that the index may lack.
    """

    record: Record | None = None
    journal: tuple[Consumption, ...] = ()
    revision: int = 0
    began: datetime | None = None
    changed: datetime | None = None
    progress: FrozenDict = EMPTY
    cancellations: tuple[Event[Any], ...] = ()
    history_length: int = 0
    unindexed: tuple[HistoryBlock, ...] = ()
    _digests: frozenset[str] = field(init=False, eq=False, repr=False)

    @_digests.default
    def _collect_digests(self) -> frozenset[str]:
        return frozenset(entry.digest for entry in self.journal)

    @property
    def turn(self) -> int:
        """The revision of the record, 0 where there is none."""
        return 0 if self.record is None else self.record.revision

    def find(self, digest: str) -> Consumption | None:
        """Return the newest consumption with this digest."""
        if digest not in self._digests:
            return None
        return next(entry for entry in reversed(self.journal) if entry.digest == digest)

    def excess_unsent(self, sent: Container[TurnKey]) -> list[Consumption]:
        """Return the oldest consumptions whose output must be sent before the next turn is written,
        so that no more than `UNSENT_MAX` may be unsent after it.
        """
        unsent = [entry for entry in self.journal if entry.output and entry.key not in sent]
        return unsent[: max(0, len(unsent) - UNSENT_MAX + 1)]

    def with_consumption(self, entry: Consumption) -> "WorkflowDocument | None":
        """Return the document with one more consumption, None if it has that already."""
        if self.find(entry.digest) is not None:
            return None
        return evolve(self, journal=tuple(_newest([*self.journal, entry])))

    def after_turns(
        self,
        record: Record,
        entries: Iterable[Consumption],
        sent: Container[TurnKey],
        now: datetime,
    ) -> "WorkflowDocument":
        """Return the document after turns, without the outputs that were *sent*.

        A failed workflow that keeps a late reply keeps its last output too, which has its outcome.
        """
        is_late = self.record is not None and self.record.status == record.status == "failed"
        before = [
            Consumption(past.digest, content=past.content)
            if past.output and past.key in sent and not (is_late and past.output.messages)
            else past
            for past in self.journal
        ]
        is_active = record.status == "active"
        # That of these turns stays until the next one: if the delivery cannot be acknowledged, its
        # step is taken again before the commit finds that the event is consumed.
        progress = {key: data for key, data in self.progress.items() if key not in self._digests}
        return WorkflowDocument(
            record=record,
            journal=tuple(_newest([*before, *entries])),
            revision=self.revision,
            began=now if self.began is None else self.began,
            changed=now,
            progress=FrozenDict(progress) if progress else EMPTY,
            cancellations=self.cancellations if is_active else (),
            history_length=self.history_length,
            unindexed=self.unindexed,
        )

    def with_progress(self, digest: str, data: bytes) -> "WorkflowDocument":
        """Return the document with another checkpoint of an event; no bytes delete it."""
        progress = {key: value for key, value in self.progress.items() if key != digest}
        if data:
            progress[digest] = data
        return evolve(self, progress=FrozenDict(list(progress.items())[-PROGRESS_MAX:]))

    def with_cancellation(self, event: Event[Any]) -> "WorkflowDocument | None":
        """Return the document with a cancellation, None if it has that one, or enough of them."""
        if event in self.cancellations or len(self.cancellations) >= CANCELLATIONS_MAX:
            return None
        return evolve(self, cancellations=(*self.cancellations, event))

    def without_cancellation(self, event: Event[Any]) -> "WorkflowDocument | None":
        """Return the document without a cancellation, None if it does not have that one."""
        left = tuple(other for other in self.cancellations if other != event)
        return None if left == self.cancellations else evolve(self, cancellations=left)

    def without(self, digests: Container[str]) -> "WorkflowDocument":
        """Return the document as if these events had not been consumed."""
        journal = tuple(entry for entry in self.journal if entry.digest not in digests)
        return evolve(self, journal=journal)

    @property
    def operator_changes(self) -> list[Consumption]:
        """The changes by operators whose output may be unsent; no delivery leads back to them."""
        return [
            entry for entry in self.journal if entry.digest.startswith(REPLACED) and entry.output
        ]

    def to_bytes(self) -> bytes:
        """Encode it, without the revision, which belongs to the store."""
        record = None if self.record is None else self.record.to_dict()
        journal = [_encode_entry(entry) for entry in self.journal]
        content = {"record": record, "journal": journal, "began": self.began}
        if self.progress:
            content["progress"] = {key: orjson.Fragment(it) for key, it in self.progress.items()}
        if self.cancellations:
            content["cancellations"] = [event.to_dict() for event in self.cancellations]
        if self.history_length:
            content["history"] = [self.history_length, *map(_encode_block, self.unindexed)]
        return orjson.dumps({"arvo": FORMAT, **content, "changed": self.changed})

    @staticmethod
    def from_stored(stored: Stored | None) -> "WorkflowDocument":
        """Decode the value that `to_bytes` encoded; raises `Corrupt` for any other."""
        if stored is None:
            return WorkflowDocument()
        content = decode_value(stored, "record", "journal", "began", "changed")
        try:
            fields = content["record"]
            record = None if fields is None else Record.from_dict(fields)
            journal = tuple(map(_decode_entry, content["journal"]))
            began, changed = map(_parse_time, (content["began"], content["changed"]))
            progress = {
                key: orjson.dumps(data) for key, data in content.get("progress", {}).items()
            }
            cancellations = tuple(map(Event.from_dict, content.get("cancellations", ())))
            history_length, *unindexed = content.get("history", (0,))
            return WorkflowDocument(
                record=record,
                journal=journal,
                revision=stored.revision,
                began=began,
                changed=changed,
                progress=FrozenDict(progress),
                cancellations=cancellations,
                history_length=history_length,
                unindexed=tuple(map(_decode_block, unindexed)),
            )
        except (Violated, ValueError, TypeError, KeyError) as error:
            raise _unreadable(error) from error


def digest_of(handler: str, event: Event[Any]) -> str:
    """Return the digest of a consumption in 22 characters: of handler, event and subject."""
    return urlsafe_b64encode(consumption_digest(handler, event)).decode().rstrip("=")


def decode_value(stored: Stored, *keys: str) -> dict[str, Any]:
    """Decode a value of a pair as a JSON object with these *keys*.

    Raises `Corrupt` where it is no such object, or has another format.
    """
    try:
        content = orjson.loads(decode_content(stored.record, None, Place("value", "the pair")))
    except ValueError as error:
        raise _unreadable(error) from error
    if not isinstance(content, dict) or content.get("arvo") != FORMAT:
        raise _unreadable(f"not of format {FORMAT}")
    if missing := [key for key in keys if key not in content]:
        raise _unreadable(f"without {', '.join(missing)}")
    return content


def decode_events(stored: Stored, key: str) -> tuple[Event[Any], ...]:
    """Decode the events under a *key* of a value; raises `Corrupt` where they are none."""
    try:
        return tuple(map(Event.from_dict, decode_value(stored, key)[key]))
    except (Violated, TypeError) as error:
        raise _unreadable(error) from error


def _unreadable(reason: object) -> Corrupt:
    remedy = "restore it from a backup, or run the version that wrote it"
    return Corrupt(f"the memory holds a value that cannot be read ({reason}): {remedy}")


def _parse_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _newest(entries: list[Consumption]) -> Iterator[Consumption]:
    """Keep the newest entries, and every one whose output is still needed."""
    excess = len(entries) - JOURNAL_MAX
    for position, entry in enumerate(entries):
        if position >= excess or entry.output is not None:
            yield entry


def _encode_entry(entry: Consumption) -> object:
    if entry.output is None:
        return [entry.digest, entry.content] if entry.content else entry.digest
    messages = [message_to_dict(message) for message in entry.output.messages]
    dead_letters = [
        orjson.Fragment(encode_dead_letter(dead_letter))
        for dead_letter in entry.output.dead_letters
    ]
    answers = [entry.output.answers] if entry.output.answers else []
    return [entry.digest, entry.turn, messages, dead_letters, entry.content, *answers]


def _decode_entry(entry: Any) -> Consumption:
    if isinstance(entry, str):
        return Consumption(entry)
    if len(entry) == 2:
        return Consumption(entry[0], content=entry[1])
    # An earlier version has written no content; most turns answer no signal.
    digest, turn, messages, dead_letters, *content = entry
    output = Output(
        tuple(map(message_from_dict, messages)),
        tuple(decode_dead_letter(orjson.dumps(fields)) for fields in dead_letters),
        tuple(content[1]) if len(content) > 1 else (),
    )
    return Consumption(digest, turn, output, *content[:1])


def _encode_block(block: HistoryBlock) -> object:
    return [block.position, block.length, orjson.Fragment(block.content)]


def _decode_block(block: Any) -> HistoryBlock:
    position, length, entries = block
    return HistoryBlock(position, length, orjson.dumps(entries))
