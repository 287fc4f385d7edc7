"""Store: the shortest complete machine memory, a dict. It ends with the process."""

from typing import final

from attrs import define, field

from arvo.interpreters.ports.machine_memory import Stored
from arvo.interpreters.ports.results import Conflict


@final
@define(eq=False)
class InMemoryMachineMemory:
    """A `MachineMemory` in a dict. Nothing survives the process."""

    _values: dict[str, Stored] = field(factory=dict, init=False)

    async def read(self, subject: str) -> Stored | None:
        """Return the value of a subject, or None."""
        return self._values.get(subject)

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        """Store *record* if the stored revision is *expected*."""
        current = self._values.get(subject)
        revision = 0 if current is None else current.revision
        if revision != expected:
            return Conflict(revision)
        # No await between compare and set: that makes them atomic in an event loop.
        self._values[subject] = stored = Stored(record, revision + 1)
        return stored
