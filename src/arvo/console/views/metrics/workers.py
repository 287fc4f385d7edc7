"""Workers: the workers that are alive on a backend, and the slots of those in this process."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, final

from attrs import frozen

from arvo.interpreters.ports.results import Depth
from arvo.interpreters.ports.services import WorkerProcess, WorkerServices

# More are only counted.
WORKERS_SHOWN_MAX: Final = 100


@final
@frozen(kw_only=True)
class WorkerRow:
    """A live worker: its *id*, the addresses and versions that it serves, and its listeners.

    *place*, *began*, *starts*, *build*: of its process, empty where they are not known.
    """

    id: str
    place: str
    began: datetime | None
    starts: str
    build: str
    handlers: tuple[tuple[str, str], ...]
    listens_to: tuple[str, ...]


@final
@frozen
class SlotRow:
    """A handler in this process: how many deliveries it processes, of how many at a time."""

    address: str
    used: int
    size: int


@final
@frozen(kw_only=True)
class WorkersView:
    """The messages that the workers share, and the workers.

    *workers*: None where the backend does not list them; *more*: those beyond the shown ones.
    *slots*: None where no worker runs in this process.
    """

    depth: Depth
    is_reachable: bool
    workers: tuple[WorkerRow, ...] | None
    more: int
    slots: tuple[SlotRow, ...] | None


def show_workers(
    depth: Depth,
    *,
    is_reachable: bool,
    services: Iterable[WorkerServices] | None,
    slots: Mapping[str, tuple[int, int]] | None,
) -> WorkersView:
    """Return what is known of the workers, sorted by their ids."""
    known = None if services is None else sorted(services, key=lambda it: it.worker_id)
    return WorkersView(
        depth=depth,
        is_reachable=is_reachable,
        workers=None if known is None else tuple(map(_row, known[:WORKERS_SHOWN_MAX])),
        more=max(0, len(known or ()) - WORKERS_SHOWN_MAX),
        slots=None
        if slots is None
        else tuple(SlotRow(address, *slot) for address, slot in sorted(slots.items())),
    )


def _row(services: WorkerServices) -> WorkerRow:
    process = services.process
    domains = ("other domains" if it is None else f"domain {it}" for it in services.domains)
    return WorkerRow(
        id=services.worker_id,
        place="" if process is None else f"{process.host}, process {process.pid}",
        began=None if process is None else datetime.fromisoformat(process.began),
        starts=_starts(process),
        build="" if process is None else process.build,
        handlers=tuple(
            (address, ", ".join(versions)) for address, versions in services.versions.items()
        ),
        listens_to=(*sorted(domains), *sorted(services.callers)),
    )


def _starts(process: WorkerProcess | None) -> str:
    """Return how often a supervisor has started a worker.

    >>> _starts(WorkerProcess(host="a", pid=1, began="", number=2, starts=3))
    'worker 2, started 3 times'
    """
    if process is None or not process.starts:
        return ""
    times = "once" if process.starts == 1 else f"{process.starts} times"
    return f"worker {process.number}, started {times}"
