"""Backend: is it reachable, and would a worker of this system lose nothing on it?"""

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from arvo.cli.doctor.finding import Finding
from arvo.cli.terminal.errors import UsageError, format_error
from arvo.cli.terminal.load import open_backend, require_existing
from arvo.core.violations.violation import Violated
from arvo.engine.system.handler import is_workflow
from arvo.engine.system.system import System
from arvo.interpreters.delivery.backend_url import scheme_of, show_url
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.results import VersionUse
from arvo.interpreters.runtime.client import Client

# How long the backend may take to answer all questions.
BACKEND_SECONDS: Final = 20.0
# Leases and timers compare times of several machines.
SKEW_SECONDS_MAX: Final = 1.0
_POSTGRES: Final = ("postgres", "postgresql")
# File systems whose locks SQLite cannot rely on (https://sqlite.org/faq.html#q5).
_NETWORK: Final = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "fuse.sshfs")


async def check_backend(system: System, url: str) -> Sequence[Finding]:
    """Return the findings about a backend; it is opened only where that migrates nothing."""
    findings: list[Finding] = []
    try:
        require_existing(url)
        async with asyncio.timeout(BACKEND_SECONDS):
            await _check(system, url, findings)
    except TimeoutError:
        found = f"{show_url(url)} gives no answer within {BACKEND_SECONDS:g} s"
        findings.append(Finding("backend", "failure", found, "check the host and the network"))
    except (Unavailable, Corrupt, Violated, UsageError, sqlite3.Error, OSError) as error:
        remedy = "check the URL and that the server runs"
        findings.append(Finding("backend", "failure", format_error(error), remedy))
    return findings


async def _check(system: System, url: str, findings: list[Finding]) -> None:
    """Add the findings to a list, so that those before an error are kept."""
    scheme, is_pair = scheme_of(url), len(url.split()) > 1
    if scheme in _POSTGRES:
        findings += await _check_database(url.split()[0])
    elif scheme == "sqlite":
        findings += _check_file(url)
    elif scheme == "memory" and not is_pair:
        text = "memory: ends with its process, and so does all that it holds"
        remedy = "use sqlite: or postgresql: in production"
        findings.append(Finding("durability", "warning", text, remedy))
    if any(each.name == "schema" and each.state != "ok" for each in findings):
        return  # to open it would migrate it
    async with Client(system, open_backend(url)) as client:
        await client.depth()
        findings.append(Finding("backend", "ok", f"{show_url(url)} answers"))
        try:
            findings.append(check_versions(system, await client.versions()))
        except Violated as error:
            text = f"those in flight cannot be listed: {format_error(error)}"
            findings.append(Finding("versions", "ok", text))


def check_versions(system: System, uses: Iterable[VersionUse]) -> Finding:
    """Look for workflows on versions that the system does not implement."""
    lost = [use for use in uses if not _implements(system, use)]
    if not lost:
        return Finding("versions", "ok", "the system has the version of each open workflow")
    is_failure = any(use.active for use in lost)
    # A failed workflow needs its version only when it is revived.
    found = "the system lacks " + "; ".join(map(str, lost))
    remedy = "keep these versions until none is active, or move them by arvo migrate"
    return Finding("versions", "failure" if is_failure else "warning", found, remedy)


def _implements(system: System, use: VersionUse) -> bool:
    if not use.active and not use.failed:
        return True
    handler = system.handler_at(use.handler)
    implements = is_workflow(handler) and use.version in handler.versions
    return implements or system.is_remote(use.handler)


def check_schema(version: int, expected: int, *, migrate: bool) -> Finding:
    """Compare the version of the tables with the one that this release of Arvo writes."""
    if version == expected:
        return Finding("schema", "ok", f"version {version}, as expected")
    found = f"version {version}, expected {expected}" if version else "there are no tables yet"
    if migrate:
        return Finding("schema", "warning", found, "the next worker that starts migrates it")
    return Finding("schema", "failure", found, "run arvo upgrade")


def check_skew(seconds: float) -> Finding:
    """Judge how far the clock of the server is from that of this process."""
    if abs(seconds) <= SKEW_SECONDS_MAX:
        return Finding("clock", "ok", "that of the database and of this process agree")
    found = f"that of the database is {seconds:+.1f} s from that of this process"
    return Finding("clock", "warning", found, "synchronise both by NTP")


async def _check_database(url: str) -> list[Finding]:
    from arvo.interpreters import postgres

    open_backend(url)  # raises for a missing driver
    seen = await postgres.inspect(url)
    off = sorted(name for name, value in seen.settings.items() if value == "off")
    text = f"{', '.join(off)}: off; a crash of the server may lose commits that it has acknowledged"
    return [
        check_schema(seen.version, seen.expected, migrate=seen.migrate),
        check_skew(seen.skew),
        Finding("durability", "warning", text, "set them to on")
        if off
        else Finding("durability", "ok", "the server writes each commit to its disk"),
    ]


def _check_file(url: str) -> Iterator[Finding]:
    from arvo.interpreters import sqlite

    path, options = sqlite.parse_dsn(url)
    version, expected = sqlite.installed_version(path), sqlite.SCHEMA_VERSION
    yield check_schema(version, expected, migrate=True)
    yield check_file_system(path, _file_system(path))
    if not options.get("full_sync", True):
        text = "full_sync=no: a power failure may lose the last commits"
        yield Finding("durability", "warning", text, "leave full_sync out of the URL")


def check_file_system(path: str, kind: str) -> Finding:
    """Judge the kind of file system that holds a SQLite file, an empty text if it is unknown."""
    if kind in _NETWORK:
        found = f"{path} is on a network file system ({kind}), where its locks do not work"
        return Finding("file system", "failure", found, "move it to a local disk, or use Postgres")
    return Finding("file system", "ok", kind or "unknown on this platform")


def _file_system(path: str) -> str:
    """Return the kind of the file system of a file, an empty text where the system has no list."""
    try:
        mounts = Path("/proc/self/mounts").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    file = Path(path).resolve()
    kinds = {Path(each.split()[1]): each.split()[2] for each in mounts}
    return next((kinds[folder] for folder in file.parents if folder in kinds), "")
