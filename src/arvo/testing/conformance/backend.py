"""Backend: everything that a backend must do, in one class to subclass."""

from typing import Any

from arvo.interpreters.ports.backend import Backend
from arvo.testing.conformance.commits import Commits
from arvo.testing.conformance.dead_letters import Letters
from arvo.testing.conformance.operators import Operators
from arvo.testing.conformance.queue import Queue
from arvo.testing.conformance.restarts import Restarts
from arvo.testing.conformance.timers import Timers
from arvo.testing.conformance.values import Values


class BackendConformance(Commits, Queue, Timers, Letters, Restarts, Values, Operators):
    """Proves that a `Backend` keeps its promises: subclass it, and say how to open yours.

    pytest collects it, once its name begins with `Test`. `backend` opens a backend at `self.place`,
    a directory for each test, with room for `self.queue_max` events. Say `survives = True` where
    two that are opened at one place share what they hold, at once or one after the other; and
    override `expire_lease` where deliveries have leases; `lists = False` where the store cannot
    list, `counts = False` where nobody knows how many events are under way. A failure tells the
    calls that led there.
    """

    async def backend(self) -> Backend:
        """Open a backend at `self.place`: the same place is the same store."""
        raise NotImplementedError

    async def opened(self) -> Any:
        """Open a backend for a test."""
        return await self.backend()

    async def closed(self, subject: Any) -> None:
        """Close a backend; some were closed in the test itself."""
        await subject.close()
