"""Memory: a model of a store with compare-and-set, which all processes of a pair share."""

from attrs import define, field

from arvo.interpreters.ports.machine_memory import Stored
from arvo.interpreters.ports.results import Conflict


@define(eq=False)
class SimulatedMemory:
    """One value per subject: a correct record store without time or concurrency.

    Every operation is atomic. Override an operation to see which promises a wrong store breaks.
    """

    values: dict[str, Stored] = field(factory=dict, init=False)

    def read(self, subject: str) -> Stored | None:
        """Return the value of a subject, or None."""
        return self.values.get(subject)

    def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        """Store a value if the stored revision is *expected*."""
        revision = self.revision(subject)
        if revision != expected:
            return Conflict(revision)
        self.values[subject] = stored = Stored(record, revision + 1)
        return stored

    def revision(self, subject: str) -> int:
        """Return the stored revision of a subject, 0 if there is no value."""
        stored = self.values.get(subject)
        return 0 if stored is None else stored.revision
