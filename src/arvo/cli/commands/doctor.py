"""Doctor: the command that checks an installation, a system and its backend."""

from collections.abc import Iterator
from typing import Annotated, Final

from attrs import asdict
from cyclopts import Parameter

from arvo.cli.doctor.backend import check_backend
from arvo.cli.doctor.finding import Finding
from arvo.cli.doctor.installation import check_installation
from arvo.cli.terminal.errors import UsageError, format_error
from arvo.cli.terminal.load import (
    BACKEND_VARIABLE,
    SystemName,
    load_system,
)
from arvo.cli.terminal.output import TEXT, Output
from arvo.core.violations.violation import Violated
from arvo.engine.system.system import System


async def doctor(
    system: SystemName,
    /,
    *,
    backend: Annotated[str | None, Parameter(env_var=BACKEND_VARIABLE)] = None,
    output: Output = TEXT,
) -> int:
    """Check the installation, a system and its backend, and name a remedy for each fault.

    It changes nothing, and migrates no tables. Exit code 1 if a check has failed.

    Parameters
    ----------
    backend
        The URL of the backend; without it, only the installation and the system are checked.
    """
    findings = list(check_installation())
    try:
        loaded = load_system(system, backend or "memory:")
    except (UsageError, Violated) as error:
        findings.append(Finding("system", "failure", format_error(error), "correct this first"))
    else:
        findings += _check_system(system, loaded)
        # Without the system, each version in flight would seem to be missing.
        findings += await check_backend(loaded, backend) if backend else [_NO_BACKEND]
    is_ok = all(each.state != "failure" for each in findings)
    checks = [asdict(each) for each in findings]
    output.show({"ok": is_ok, "checks": checks}, "\n".join(map(str, findings)))
    return 0 if is_ok else 1


_NO_BACKEND: Final = Finding(
    "backend", "warning", "none was named, so none was checked", f"--backend or {BACKEND_VARIABLE}"
)


def _check_system(name: str, system: System) -> Iterator[Finding]:
    issues = system.check()
    if not issues:
        yield Finding("system", "ok", f"{name} loads, and its check finds nothing")
    for issue in issues:
        yield Finding("system", "warning", str(issue), "see System.check in the reference")
