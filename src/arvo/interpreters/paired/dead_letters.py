"""Letters: dead letters in a store that can compare and set, and cannot list."""

import logging
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final, final

import orjson
from attrs import define

from arvo.interpreters.delivery.codec import letter_bytes, letter_of
from arvo.interpreters.paired.document import FORMAT, content_of
from arvo.interpreters.ports.backend import DeadLetter, queue_of
from arvo.interpreters.ports.machine_memory import MachineMemory, Stored

logger: Final = logging.getLogger("arvo")

# Letters lie on a fixed number of pages, so that all can be found without a list; so many that
# those who write at once seldom meet, and so few that reading all is quick.
PAGES: Final = 64
# Letters on one page, for a value must not grow without end: the oldest makes way.
PAGE_LETTERS_MAX: Final = 64
# Bytes of them, as long as there is more than one: each is read and written with all of its page.
PAGE_BYTES_MAX: Final = 16 * 1024 * 1024


@final
@define(eq=False)
class Letters:
    """Dead letters, kept in a memory under subjects that no workflow has.

    Each event has one letter for each place it was going to: buried again, the newer one stays.
    """

    memory: MachineMemory

    async def keep(self, dead_letter: DeadLetter) -> None:
        """Add a letter."""
        mine = _identity(dead_letter)

        def added(dead_letters: list[DeadLetter]) -> list[DeadLetter]:
            others = [each for each in dead_letters if _identity(each) != mine]
            return [*others, dead_letter]

        await self._change(page_of(dead_letter), added)

    async def all(self) -> tuple[DeadLetter, ...]:
        """List the letters, oldest first."""
        found = [each for page in range(PAGES) for each in (await self._read(page))[0]]
        return tuple(sorted(found, key=lambda each: each.at))

    async def find(self, id_: str) -> DeadLetter | None:
        """Find a letter by its id."""
        for page in range(PAGES):
            for dead_letter in (await self._read(page))[0]:
                if dead_letter.id == id_:
                    return dead_letter
        return None

    async def remove(self, dead_letter: DeadLetter) -> None:
        """Take a letter out; a newer one for the same event stays."""
        await self._change(
            page_of(dead_letter),
            lambda dead_letters: [each for each in dead_letters if each.id != dead_letter.id],
        )

    async def _change(
        self, page: int, change: Callable[[list[DeadLetter]], list[DeadLetter]]
    ) -> None:
        while True:
            dead_letters, revision = await self._read(page)
            changed = change(dead_letters)
            if changed == dead_letters:
                return
            said = _newest([letter_bytes(each) for each in changed])
            for lost in changed[: len(changed) - len(said)]:
                logger.error("dead letter %s made way for newer ones: %s", lost.id, lost.event.id)
            letters_said = [orjson.Fragment(each) for each in said]
            content = orjson.dumps({"arvo": FORMAT, "letters": letters_said})
            if isinstance(await self.memory.write(_subject(page), content, revision), Stored):
                return

    async def _read(self, page: int) -> tuple[list[DeadLetter], int]:
        stored = await self.memory.read(_subject(page))
        if stored is None:
            return [], 0
        content = content_of(stored, "letters")["letters"]
        return [letter_of(orjson.dumps(each)) for each in content], stored.revision


def _subject(page: int) -> str:
    # Subjects are base64, which has no parentheses.
    return f"(dead letters) {page}"


def _identity(dead_letter: DeadLetter) -> tuple[str, str, str, str]:
    queue = "" if dead_letter.to is None else queue_of(dead_letter.to)
    event = dead_letter.event
    return queue, event.source, event.id, event.subject


def page_of(dead_letter: DeadLetter) -> int:
    """Say on which page a letter lies."""
    # Not hash(), which differs from process to process.
    text = repr(_identity(dead_letter)).encode(errors="surrogatepass")
    return blake2b(text, digest_size=1).digest()[0] % PAGES


def _newest(dead_letters: Sequence[bytes]) -> Sequence[bytes]:
    """Give the newest letters, as many as a page has room for, and at least one."""
    room, number = PAGE_BYTES_MAX, 0
    for dead_letter in reversed(dead_letters[-PAGE_LETTERS_MAX:]):
        room -= len(dead_letter)
        if room < 0 and number:
            break
        number += 1
    return dead_letters[len(dead_letters) - number :]
