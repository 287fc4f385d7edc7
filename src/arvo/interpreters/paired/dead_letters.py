"""Dead letters, and audit entries: stores in a machine memory, which cannot list its values."""

from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import blake2b
from heapq import nlargest
from typing import Any, Final, TypeAlias, final

import orjson
from attrs import define

from arvo.interpreters.codecs.unreadable import is_unreadable
from arvo.interpreters.delivery.audit import (
    AuditQuery,
    audit_key,
    decode_audit,
    encode_audit,
    oldest_audit,
)
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.codec import decode_dead_letter, encode_dead_letter, to_milliseconds
from arvo.interpreters.delivery.log import fields, get_logger, log_dead_letter
from arvo.interpreters.delivery.operations import (
    DeadLetterQuery,
    dead_letter_key,
    group_dead_letters,
    group_key,
    time_key,
)
from arvo.interpreters.delivery.retention import Retention
from arvo.interpreters.paired.documents.document import FORMAT, decode_value
from arvo.interpreters.paired.unreadable import unreadable_dead_letter
from arvo.interpreters.ports.audit import AuditEntry
from arvo.interpreters.ports.broker import EncodedDelivery
from arvo.interpreters.ports.machine_memory import MachineMemory, Stored
from arvo.interpreters.ports.messages import DeadLetter, queue_of
from arvo.interpreters.ports.results import DeadLetterGroup

logger: Final = get_logger("pair")

# A fixed number of pages, so that all dead letters are found without a list: enough pages that
# concurrent writers seldom meet, and few enough that reading all of them is quick.
PAGES: Final = 64
# Pages over which the dead letters of one subject are spread: few to read, and a subject with many
# dead letters displaces few others.
SUBJECT_PAGES: Final = 8
# Further pages for messages that cannot be decoded: another program may publish any number of them,
# and they must not displace the dead letters of events.
UNREADABLE_PAGES: Final = 8
# Dead letters on one page, for a value must not grow without bound: the oldest are dropped.
PAGE_DEAD_LETTERS_MAX: Final = 64
# Their bytes, unless there is only one: each is read and written with all of its page.
PAGE_BYTES_MAX: Final = 16 * 1024 * 1024

# Pages of audit entries, and the entries on each.
AUDIT_PAGES: Final = 16
AUDIT_PAGE_ENTRIES_MAX: Final = 256

DeadLetters: TypeAlias = list[DeadLetter]
# A dead letter as JSON data.
Fields: TypeAlias = dict[str, Any]
Selected: TypeAlias = list[Fields]

DEFAULT_RETENTION: Final = Retention()


@final
@define(eq=False)
class DeadLetterStore:
    """Dead letters, stored in a memory under subjects that no workflow has.

    An event has one dead letter for each destination: when it fails again, the newer one replaces
    the older. Those older than *retention* allows are not listed, and removed with the next write
    of their page.
    """

    memory: MachineMemory
    retention: Retention = DEFAULT_RETENTION
    now: Callable[[], datetime] = utc_now

    async def add(self, dead_letter: DeadLetter) -> bool:
        """Store a dead letter; return False if it is stored already, from before a crash."""
        identity, is_new = _identity(dead_letter), True

        def add_to(page: DeadLetters) -> DeadLetters:
            nonlocal is_new
            is_new = all(other.id != dead_letter.id for other in page)
            others = [other for other in page if _identity(other) != identity]
            return [*others, dead_letter]

        await self._change(page_of(dead_letter), add_to)
        return is_new

    async def add_unreadable(self, delivery: EncodedDelivery, reason: str) -> None:
        """Store the dead letter of a message that cannot be decoded, and log it."""
        dead_letter = unreadable_dead_letter(delivery, reason)
        if await self.add(dead_letter):
            log_dead_letter(dead_letter)

    async def list(self, query: DeadLetterQuery) -> tuple[DeadLetter, ...]:
        """Return dead letters, oldest first."""
        found = await self._select(query)
        found.sort(key=_fields_key)
        return tuple(map(_decode, found[: query.limit]))

    async def groups(self, query: DeadLetterQuery) -> tuple[DeadLetterGroup, ...]:
        """Count dead letters in groups, the largest first."""
        selected = await self._select(query)
        return group_dead_letters(
            query, ((group_key(_decode(it)), time_key(it["at"])) for it in selected)
        )

    async def _select(self, query: DeadLetterQuery) -> Selected:
        """Read the dead letters that a query selects; those of a subject are on a few pages."""
        pages = (
            range(PAGES + UNREADABLE_PAGES) if query.subject is None else pages_of(query.subject)
        )
        return [
            content
            for page in pages
            for content in (await self._read_fields(page))[0]
            if self._is_live(content["at"]) and _is_selected(query, content)
        ]

    async def get(self, id_: str) -> DeadLetter | None:
        """Return the dead letter with this id."""
        for page in range(PAGES + UNREADABLE_PAGES):
            for content in (await self._read_fields(page))[0]:
                if content["id"] == id_:
                    return _decode(content)
        return None

    async def remove(self, dead_letter: DeadLetter) -> None:
        """Delete a dead letter, but not a newer one of the same event."""
        await self._change(
            page_of(dead_letter),
            lambda page: [other for other in page if other.id != dead_letter.id],
        )

    async def _change(self, page: int, change: Callable[[DeadLetters], DeadLetters]) -> None:
        while True:
            dead_letters, revision = await self._read(page)
            live = [each for each in dead_letters if self._is_live(each.at)]
            changed = change(live)
            if changed == dead_letters:
                return
            encoded = _newest([encode_dead_letter(dead_letter) for dead_letter in changed])
            fragments = [orjson.Fragment(each) for each in encoded]
            content = orjson.dumps({"arvo": FORMAT, "dead_letters": fragments})
            if isinstance(await self.memory.write(_subject(page), content, revision), Stored):
                for dropped in changed[: len(changed) - len(encoded)]:
                    extra = fields(dropped.event, dead_letter=dropped.id, reason=dropped.reason)
                    logger.error("a dead letter was dropped for newer ones", extra=extra)
                self.retention.log_removal(len(dead_letters) - len(live))
                return

    def _is_live(self, at: str) -> bool:
        oldest = self.retention.oldest_dead_letter(to_milliseconds(self.now()))
        return time_key(at) >= oldest

    async def _read(self, page: int) -> tuple[DeadLetters, int]:
        """Return the dead letters of a page, and its revision."""
        content, revision = await self._read_fields(page)
        return list(map(_decode, content)), revision

    async def _read_fields(self, page: int) -> tuple[Sequence[Fields], int]:
        """Return the dead letters of a page before they are decoded, and its revision."""
        stored = await self.memory.read(_subject(page))
        if stored is None:
            return [], 0
        content: list[Fields] = decode_value(stored, "dead_letters")["dead_letters"]
        return content, stored.revision


@final
@define(eq=False)
class AuditStore:
    """Audit entries, on pages by their subject; the oldest of a page are dropped."""

    memory: MachineMemory
    retention: Retention = DEFAULT_RETENTION
    now: Callable[[], datetime] = utc_now

    async def add(self, entry: AuditEntry) -> None:
        """Store an entry."""
        page = _audit_page(entry.subject)
        while True:
            entries, revision = await self._read(page)
            live = [*filter(AuditQuery(oldest=self._oldest()).selects, entries), entry]
            fragments = [
                orjson.Fragment(encode_audit(each)) for each in live[-AUDIT_PAGE_ENTRIES_MAX:]
            ]
            content = orjson.dumps({"arvo": FORMAT, "audit": fragments})
            if isinstance(await self.memory.write(_audit_key(page), content, revision), Stored):
                return

    async def list(
        self, after: AuditEntry | None, limit: int, subject: str | None
    ) -> tuple[AuditEntry, ...]:
        """Return entries, newest first."""
        query = AuditQuery(after, limit, subject, self._oldest())
        pages = range(AUDIT_PAGES) if subject is None else [_audit_page(subject)]
        entries = [entry for page in pages for entry in (await self._read(page))[0]]
        return tuple(nlargest(limit, filter(query.selects, entries), key=audit_key))

    def _oldest(self) -> int:
        return oldest_audit(self.retention.audit, to_milliseconds(self.now()))

    async def _read(self, page: int) -> "tuple[Sequence[AuditEntry], int]":
        stored = await self.memory.read(_audit_key(page))
        if stored is None:
            return (), 0
        content = decode_value(stored, "audit")["audit"]
        return tuple(decode_audit(orjson.dumps(fields)) for fields in content), stored.revision


def _audit_page(subject: str) -> int:
    return _digest(subject) % AUDIT_PAGES


def _audit_key(page: int) -> str:
    return f"(audit) {page}"


def _subject(page: int) -> str:
    # The subject of a workflow is base64, which has no parentheses.
    return f"(dead letters) {page}"


def _identity(dead_letter: DeadLetter) -> tuple[str, str, str, str]:
    queue = "" if dead_letter.to is None else queue_of(dead_letter.to)
    event = dead_letter.event
    return queue, event.source, event.id, event.subject


def page_of(dead_letter: DeadLetter) -> int:
    """Return the page of a dead letter: one of `pages_of` its subject."""
    # Not hash(), which differs from process to process.
    digest = _digest(repr(_identity(dead_letter)))
    if is_unreadable(dead_letter.event, dead_letter.id):
        return PAGES + digest % UNREADABLE_PAGES
    return pages_of(dead_letter.event.subject)[digest % SUBJECT_PAGES]


def pages_of(subject: str) -> Sequence[int]:
    """Return the pages that may hold the dead letters of a subject."""
    first = _digest(subject)
    return [(first + number) % PAGES for number in range(SUBJECT_PAGES)]


def _digest(text: str) -> int:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=1).digest()[0]


def _fields_key(content: Fields) -> tuple[int, str]:
    """Return `dead_letter_key` of a dead letter that is not decoded."""
    return time_key(content["at"]), content["id"]


def _is_selected(query: DeadLetterQuery, content: Fields) -> bool:
    key = _fields_key(content)
    if query.after is not None and key <= dead_letter_key(query.after):
        return False
    subject: str = content["event"]["subject"]
    if query.subject not in (None, subject):
        return False
    if query.by_subject_only:
        return True  # nearly all queries; to know the group it must be decoded
    return query.selects(subject, group_key(_decode(content)), key[0])


def _decode(content: Fields) -> DeadLetter:
    return decode_dead_letter(orjson.dumps(content))


def _newest(encoded: Sequence[bytes]) -> Sequence[bytes]:
    """Return the newest dead letters that fit on a page, at least one."""
    bytes_left, number = PAGE_BYTES_MAX, 0
    for dead_letter in reversed(encoded[-PAGE_DEAD_LETTERS_MAX:]):
        bytes_left -= len(dead_letter)
        if bytes_left < 0 and number:
            break
        number += 1
    return encoded[len(encoded) - number :]
