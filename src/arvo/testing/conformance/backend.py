"""Backend: the tests that every backend must pass, in one class to subclass."""

from typing import Any

from arvo.interpreters.ports.backend import Backend
from arvo.testing.conformance.cancellations import Cancellations
from arvo.testing.conformance.chains import Chains
from arvo.testing.conformance.checkpoints import Checkpoints
from arvo.testing.conformance.commits import Commits
from arvo.testing.conformance.kit.reports import Reports
from arvo.testing.conformance.limits.groups import LimitGroups
from arvo.testing.conformance.operators import DeadLetters, Operators
from arvo.testing.conformance.order import Order
from arvo.testing.conformance.queue import Queue
from arvo.testing.conformance.restarts import Services
from arvo.testing.conformance.retention.archives import Archives
from arvo.testing.conformance.timers import Timers
from arvo.testing.conformance.values import Values


class BackendConformance(
    Commits,
    Cancellations,
    Chains,
    Queue,
    Order,
    Timers,
    DeadLetters,
    Checkpoints,
    Values,
    Operators,
    Services,
    Archives,
    Reports,
    LimitGroups,
):
    """Tests that a `Backend` keeps its promises.

    Subclass it under a name that begins with `Test`, so that pytest collects it, and override
    `backend`. It opens a backend at `self.tmp_path`, a directory for each test, with a capacity of
    `self.queue_max` events. Two backends at the same path must share their store.

    Set `offloads = True` if the backend has a codec with a blob store (`arvo.codecs.offloaded`),
    `is_durable = True` if two backends at one path share their data, at once or one after the
    other; `supports_listing = False` if the store cannot list workflows; `reports_depth = False` if
    the backend cannot count its events. Override `expire_lease` if deliveries have leases, and
    `archiving_backend` if finished workflows are archived. A test
    that does not apply is skipped, with the reason; a failed test reports the backend calls that
    led to it.
    """

    async def backend(self) -> Backend:
        """Open a backend at `self.tmp_path`; the same path means the same store."""
        raise NotImplementedError

    async def open_subject(self) -> Any:
        """Open a backend for a test."""
        return await self.backend()

    async def close_subject(self, subject: Any) -> None:
        """Close a backend; a test may already have closed it."""
        await subject.close()
