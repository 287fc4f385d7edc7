"""Clock: a file that keeps how far the clock of `arvo dev` is ahead."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from arvo.cli.dev.clock import clock_file, restore_clock, store_clock
from arvo.cli.terminal.errors import UsageError
from arvo.interpreters.delivery.clock import clock_ahead, set_clock_ahead


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    """Let no other test run ahead of the host's clock."""
    yield
    set_clock_ahead(timedelta())


def test_a_restart_keeps_how_far_the_clock_is_ahead(tmp_path: Path) -> None:
    """Timers that have fired by a later clock would else be in the future."""
    file = tmp_path / "dev.db.clock"
    ahead = timedelta(days=2, seconds=3.25)

    store_clock(file, ahead)
    set_clock_ahead(timedelta())
    restore_clock(file)

    assert clock_ahead() == ahead
    assert [*tmp_path.iterdir()] == [file]


def test_a_memory_has_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its timers end with the process."""
    monkeypatch.chdir(tmp_path)

    store_clock(Path(), timedelta(hours=1))

    assert clock_ahead() == timedelta(hours=1)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("text", ["", "soon", "1e99", "nan", "inf"])
def test_a_file_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    """An editor may have saved something else there."""
    file = tmp_path / "dev.db.clock"
    file.write_text(text)

    with pytest.raises(UsageError, match=r"dev\.db\.clock: expected the seconds"):
        restore_clock(file)


@pytest.mark.parametrize(
    ("backend", "file"),
    [
        ("memory:", Path()),
        ("sqlite:///a/b.db", Path("a/b.db.clock")),
        ("sqlite:////a/b.db?sync=off", Path("/a/b.db.clock")),
        ("postgres://host/db", None),
        ("memory: memory:", None),
    ],
)
def test_a_clock_belongs_to_a_backend_of_one_process(backend: str, file: Path | None) -> None:
    """On a server the timers of others would be due as well."""
    assert clock_file(backend) == file
