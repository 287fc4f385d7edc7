"""Table: its rows can be measured, and what is missing on a machine is named."""

import shutil
import subprocess
from collections.abc import Callable

import pytest

from benchmarks import durable, page, table
from benchmarks.growth.measurements import MEASUREMENTS
from benchmarks.growth.stored import TIMERS_OF_A_WORKFLOW
from benchmarks.measure import Figures, Unmeasured
from benchmarks.peers import node
from benchmarks.table import PURE_PEERS, growth_rows, rows


def test_each_name_stands_for_one_row() -> None:
    """`--only` and a reader find a row by its name."""
    names = [row.name for row in (*rows(), *growth_rows())]

    assert len(names) == len(set(names))


def test_every_peer_of_the_pure_rows_belongs_to_one() -> None:
    """A renamed row must not lose its peer silently."""
    assert set(PURE_PEERS) <= {row.name for row in rows()}


def test_the_page_has_a_place_for_what_a_run_writes() -> None:
    """A run writes after an hour; the markers must be there."""
    text = page.PAGE.read_text()

    for name in ("run", "table", "growth"):
        text = page.replace(text, name, f"what was measured of {name}")
        assert f"what was measured of {name}" in text


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_a_measurement_of_growth_gives_the_figures_of_its_row(name: str) -> None:
    """The measurements change with the library."""
    number = TIMERS_OF_A_WORKFLOW if name == "sleeping" else 3

    figures = MEASUREMENTS[name](number)

    assert set(figures) == set(table.GROWTH_UNITS[name])
    assert all(figure > 0 for figure in figures.values())


@pytest.mark.parametrize(
    ("measure", "units"),
    [
        (lambda: durable.memory(3, 1), {"workflows/s", "ms p50", "µs"}),
        (lambda: durable.sqlite(3, 2), {"workflows/s", "ms p50", "µs", "bytes of the file"}),
        (lambda: durable.rows(3), {"transactions/s"}),
    ],
)
def test_a_runtime_gives_the_figures_of_its_rows(
    measure: Callable[[], Figures], units: set[str]
) -> None:
    """The rows pick from them."""
    assert set(measure()) == units


def test_a_registry_that_does_not_answer_stops_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its peers are left out, as those that it does not have."""

    def hang(command: list[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(command, node.INSTALL_SECONDS_MAX)

    monkeypatch.delenv("ARVO_BENCH_NODE", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(subprocess, "run", hang)

    assert [path.name for path in node.install_packages().iterdir()] == ["package.json"]


def test_a_peer_without_node_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most machines that develop Python have no Node."""
    monkeypatch.setenv("PATH", "")

    with pytest.raises(Unmeasured, match="not installed"):
        node.side("event")


def test_a_library_that_is_missing_is_not_installed() -> None:
    """Only `make bench` installs the peers."""
    with pytest.raises(Unmeasured, match="not installed"):
        table.require("no_such_library")
