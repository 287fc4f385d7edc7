"""Services: which versions each worker on a backend serves, and the protocols to share that."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol, final, runtime_checkable

from attrs import asdict, field, fields, frozen

from arvo.core.payloads.frozen_json import FrozenDict
from arvo.interpreters.ports.messages import Delivery

# Addresses that a text lists: it ends up in logs and dead letters.
LISTED_MAX: Final = 20


@final
@frozen(kw_only=True)
class WorkerProcess:
    """The process of a worker, for operators.

    *host*, *pid*: where it runs. *began*: when it started, as an RFC 3339 time. *number*, *starts*:
    which worker of its supervisor it is, and how often that has started it; 0 without a supervisor.
    *build*: what its deployment calls the code, empty if it names none.
    """

    host: str
    pid: int
    began: str
    number: int = 0
    starts: int = 0
    build: str = ""


@final
@frozen
class WorkerServices:
    """The handlers of one worker: *versions* maps each address to the versions it implements.

    *callers*: the addresses of callers that it has a listener for. *domains*: the domains that it
    has one for; None is the listener of all others. *process*: where it runs, None if unknown; two
    that differ in it alone are equal.

    >>> services = WorkerServices("w1", {"com.shop.charge": ("1.0.0", "2.0.0")})
    >>> services.serves("com.shop.charge", "2.0.0"), services.serves("com.shop.ship", None)
    (True, False)
    """

    worker_id: str
    versions: Mapping[str, tuple[str, ...]] = field(converter=FrozenDict)
    callers: tuple[str, ...] = ()
    domains: tuple[str | None, ...] = ()
    process: WorkerProcess | None = field(default=None, eq=False)

    def serves(self, address: str, version: str | None) -> bool:
        """Return whether a handler is at *address* and implements *version*; None: any version."""
        versions = self.versions.get(address)
        return versions is not None and (version is None or version in versions)

    def listens_to(self, domain: str) -> bool:
        """Return whether it has a listener for *domain*."""
        return domain in self.domains or None in self.domains

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        versions = {address: list(versions) for address, versions in self.versions.items()}
        return {
            "worker": self.worker_id,
            "versions": versions,
            "callers": list(self.callers),
            "domains": list(self.domains),
            **({} if self.process is None else {"process": asdict(self.process)}),
        }

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> "WorkerServices":
        """Make it from the JSON data of `to_dict`."""
        versions = {address: tuple(each) for address, each in content["versions"].items()}
        callers, domains = (tuple(content.get(name, ())) for name in ("callers", "domains"))
        known = content.get("process")
        # A newer version may have more to say.
        names = {it.name for it in fields(WorkerProcess)}
        process = known and WorkerProcess(**{k: it for k, it in known.items() if k in names})
        return WorkerServices(content["worker"], versions, callers, domains, process)


def describe_services(services: Iterable[WorkerServices], address: str) -> str:
    """Return which versions of *address* are registered, for a reason of a dead letter.

    >>> describe_services([WorkerServices("w1", {"com.shop.ship": ("1.0.0",)})], "com.shop.ship")
    'registered: com.shop.ship 1.0.0'
    """
    everything = list(services)
    versions = {version for each in everything for version in each.versions.get(address, ())}
    if versions:
        return f"registered: {address} {', '.join(sorted(versions)[:LISTED_MAX])}"
    addresses = sorted({known for each in everything for known in each.versions})
    return f"registered: {', '.join(addresses[:LISTED_MAX]) or 'no worker'}"


class ServiceRegistry(Protocol):
    """What the workers of all processes serve. Its operations raise as those of the backend do."""

    async def register(self, services: WorkerServices) -> None:
        """Register the services of a worker of this process; replaces what it registered before.

        When this has returned, every `list` shows it: until `deregister`, or until the backend is
        closed or its process has died for the time of a lease. The backend renews the lease.
        """
        ...

    async def deregister(self, worker_id: str) -> None:
        """Remove what a worker of this process registered, if anything."""
        ...

    async def list(self) -> tuple[WorkerServices, ...]:
        """Return the services of the live workers."""
        ...


@runtime_checkable
class SupportsServiceRegistry(Protocol):
    """A backend on which each worker registers what it serves, for the other workers to see.

    Without it, a worker that lacks the version of an event cannot know whether another one has it.
    """

    @property
    def services(self) -> ServiceRegistry:
        """The registry."""
        ...


@runtime_checkable
class ReleasesDeliveries(Protocol):
    """A backend that takes a delivery back as if it had not been delivered.

    Without it, a worker returns a delivery that is not for it by `nack`: then it uses up an
    attempt, and a backend may deliver it to the same worker each time.
    """

    async def release(self, delivery: Delivery, delay: float) -> None:
        """Return a delivery that was not processed, for any worker, after *delay* seconds.

        The attempt is not counted. The message keeps its place in the order of its key. Raises
        `Unavailable` as `nack` does.
        """
        ...
