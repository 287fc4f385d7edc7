"""Clock: how far the clock of `arvo dev` is ahead, kept in a file beside its database."""

from datetime import timedelta
from pathlib import Path

from arvo.cli.terminal.errors import UsageError
from arvo.interpreters.delivery.clock import set_clock_ahead


def clock_file(backend: str) -> Path | None:
    """Return the file for a backend; None for one whose clock belongs to others as well.

    That of a memory is `Path()`: its timers end with the process, and so does its clock.
    """
    if backend.startswith("memory:") and len(backend.split()) == 1:
        return Path()
    path = backend.removeprefix("sqlite:///").partition("?")[0]
    return None if path == backend else Path(f"{path}.clock")


def restore_clock(file: Path) -> None:
    """Set the clock of this process as far ahead as it was; raises `UsageError`."""
    if not file.is_file():
        return
    text = file.read_text()
    try:
        ahead = timedelta(seconds=float(text))
    except (ValueError, OverflowError) as error:
        expected = "the seconds that the clock is ahead: remove it together with the database"
        raise UsageError(f"{file}: expected {expected}, got {text[:40]!r}") from error
    set_clock_ahead(ahead)


def store_clock(file: Path, ahead: timedelta) -> None:
    """Set the clock of this process ahead, and keep that for the next process."""
    if file != Path():
        # First the file: timers that fired by a later clock are in the database.
        fresh = file.with_name(f"{file.name}.new")
        fresh.write_text(f"{ahead.total_seconds():.6f}")
        fresh.replace(file)
    set_clock_ahead(ahead)
