"""Machine memory: a store that can compare and set, which is all that a pair asks of one."""

from typing import Protocol, final

from attrs import define, field, frozen

from arvo.interpreters.ports.backend import Conflict


@final
@frozen
class Stored:
    """A value as a store holds it.

    *record*: the bytes, as they were written; what they mean is none of the store's business.
    *revision*: names this version of them, 1 or more, and greater than that of any version before.
    """

    record: bytes
    revision: int


class MachineMemory(Protocol):
    """Keeps one value for each subject: the small port for a store of your own.

    A subject is a text of any length and any characters; hash it where your keys are shorter.
    `paired` makes a backend of a memory and a `Broker`, and never asks for a list or a lock. What a
    write has answered survives what your store promises to survive.

    Both operations raise `Unavailable` where waiting helps, `Corrupt` where it does not, and
    nothing else. A write that raised `Unavailable` may have been applied all the same, for its
    answer can be lost: the pair looks before it writes again. A store may forget workflows that
    have ended, later than its broker may deliver anything again.
    """

    async def read(self, subject: str) -> Stored | None:
        """Give what is held for a subject, None for nothing.

        Sees every write that has answered before: no replica that lags behind.
        """
        ...

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        """Hold *record* if the revision that is held is *expected*; 0 expects nothing.

        Comparing and setting are one: of two writers that expect the same, one is answered
        `Conflict`, with the revision that is held (0 for nothing), and has changed nothing.
        """
        ...


@final
@define(eq=False)
class InMemoryMachineMemory:
    """The shortest true memory: a dict that ends with the process."""

    _held: dict[str, Stored] = field(factory=dict, init=False)

    async def read(self, subject: str) -> Stored | None:
        """Give what is held for a subject."""
        return self._held.get(subject)

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        """Hold *record* if the revision that is held is *expected*."""
        held = self._held.get(subject)
        revision = 0 if held is None else held.revision
        if revision != expected:
            return Conflict(revision)
        # No await between looking and setting: that is what makes them one.
        self._held[subject] = stored = Stored(record, revision + 1)
        return stored
