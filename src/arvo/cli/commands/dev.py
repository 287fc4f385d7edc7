"""Dev: the command that runs a system while its code is written."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from arvo.cli.dev.folder import make_folder
from arvo.cli.process.listen import listen as listen_on
from arvo.cli.process.listen import require_loopback
from arvo.cli.terminal.errors import naming_extra
from arvo.cli.terminal.load import SystemName
from arvo.cli.terminal.output import print_status
from arvo.interpreters.delivery.backend_url import show_url
from arvo.interpreters.runtime.backends import backend_from_url


async def dev(
    system: SystemName,
    /,
    *,
    # Not from the variable ARVO_BACKEND: that one may name the backend of production.
    backend: Annotated[str | None, Parameter(help="By default a SQLite file below .arvo/.")] = None,
    listen: str = "127.0.0.1:8300",
) -> None:
    """Run a system with a worker and the console, and load its code again when that changes.

    SYSTEM names a System, or a function from the backend's URL to a Runtime. Everyone on this
    machine may act in the console. Ctrl-C ends it. Code that does not load is reported with its
    file and line, and the next change is waited for.

    Parameters
    ----------
    listen
        HOST:PORT of the pages, on this machine alone.
    """
    with naming_extra("arvo dev"):
        from arvo.cli.dev.watcher import Watcher
    folder = Path.cwd()
    with listen_on(listen, "--listen") as listening:
        require_loopback(listening, listen)
        if backend is None:
            backend = make_folder(folder)
        backend_from_url(backend)  # raises for a faulty URL or a missing driver
        print_status(f"{system} on {show_url(backend)}")
        if backend.startswith("memory:"):
            print_status("what it holds in memory ends each time that the code is loaded again")
        await Watcher(system, backend, listening, folder).work()
