"""Storage: the servers of one run, of which the workers see a backend."""

from collections.abc import Iterable
from typing import Any, Protocol, final

from attrs import define

from arvo.core.record import Record
from arvo.interpreters.ports.messages import DeadLetter, Message
from arvo.testing.simulation.cluster.backend import StoreBackend
from arvo.testing.simulation.cluster.entry import Entry
from arvo.testing.simulation.cluster.process import Process
from arvo.testing.simulation.cluster.queue import MessageQueue
from arvo.testing.simulation.cluster.store import Store


class Storage(Protocol):
    """A transactional store, or a pair. *queue* holds its messages."""

    @property
    def queue(self) -> MessageQueue[Any, Any]:
        """The messages of all workers."""
        ...

    def send(self, message: Message) -> None:
        """Add an event from outside."""
        ...

    def message(self, entry: Entry) -> Message:
        """Return the message of an entry."""
        ...

    def refuse(self, entry: Entry) -> bool:
        """Refuse a message that is above a size limit; False if there is none."""
        ...

    def connect(self, process: Process) -> Any:
        """Make the backend of a process."""
        ...

    def record(self, subject: str) -> Record | None:
        """Return the stored record of a workflow."""
        ...

    def dead_letters(self) -> Iterable[DeadLetter]:
        """Return the stored dead letters."""
        ...

    def list_problem(self) -> str | None:
        """Return how the list of workflows differs from the records, None if it does not."""
        ...


@final
@define(eq=False)
class StoreStorage:
    """A transactional store: the store is the queue as well."""

    queue: Store

    def send(self, message: Message) -> None:
        """Add an event from outside."""
        self.queue.enqueue(message)

    def message(self, entry: Entry) -> Message:
        """Return the message of an entry."""
        message: Message = entry.message
        return message

    def refuse(self, entry: Entry) -> bool:  # noqa: ARG002 - a step emits no event that is too large
        """Return False: a store has no limit of its own."""
        return False

    def connect(self, process: Process) -> StoreBackend:
        """Make the backend of a process."""
        return StoreBackend(process, self.queue)

    def record(self, subject: str) -> Record | None:
        """Return the stored record of a workflow."""
        return self.queue.load(subject)

    def dead_letters(self) -> Iterable[DeadLetter]:
        """Return the stored dead letters."""
        return self.queue.dead_letters.values()

    def list_problem(self) -> None:
        """Return None: a store lists its records themselves."""
