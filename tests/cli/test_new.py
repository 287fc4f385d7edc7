"""New: the project that `arvo new` makes passes its own tests, and what it may not be called."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from arvo.cli.app import run_command
from arvo.cli.new.project import make_project

FILES = {
    ".dockerignore",
    ".github/workflows/tests.yml",
    ".gitignore",
    "Dockerfile",
    "README.md",
    "pyproject.toml",
    "src/shop/__init__.py",
    "src/shop/app.py",
    "src/shop/orders.py",
    "src/shop/payloads.py",
    "src/shop/py.typed",
    "src/shop/services.py",
    "tests/test_orders.py",
}


def check(folder: Path, *command: str) -> None:
    paths = [str(folder / "src"), os.environ.get("PYTHONPATH", "")]
    result = subprocess.run(
        (sys.executable, "-m", *command),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_new_project_passes_its_own_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who begins with a failure does not know whose it is."""
    monkeypatch.chdir(tmp_path)

    assert run_command(["new", "shop"]) == 0

    folder = tmp_path / "shop"
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "made shop; next:",
        "  cd shop",
        "  pip install --editable '.[dev]'",
        "  pytest",
    ]
    made = {path for path in folder.rglob("*") if path.is_file()}
    assert {str(path.relative_to(folder)) for path in made} == FILES
    assert not [path for path in made if "PROJECT" in path.read_text()]
    check(folder, "pytest", "-q", "-p", "no:cacheprovider")
    check(folder, "ruff", "check", "--no-cache", ".")
    check(folder, "ruff", "format", "--no-cache", "--check", ".")
    check(folder, "arvo.cli", "export", "shop.app:system", "--asyncapi")


@pytest.mark.deep
def test_a_new_project_passes_mypy(tmp_path: Path) -> None:
    """Strict, as its settings are; mypy reads all of this package first."""
    make_project("shop", tmp_path / "shop")

    check(tmp_path / "shop", "mypy", "--cache-dir", str(tmp_path / "mypy"))


@pytest.mark.parametrize("name", ["Shop", "1shop", "my-shop", "", "a" * 41, "../shop", "shöp"])
def test_a_name_is_a_package_of_python(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert run_command(["new", "--", name]) == 2

    expected = "new: expected a small letter, then at most 39 of a-z, 0-9 and _, got"
    assert capsys.readouterr().err.startswith(f"arvo: {expected}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["class", "arvo", "attrs", "tests"])
def test_a_name_hides_no_other(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert run_command(["new", name]) == 2

    assert "choose another name" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty folder may be there: that of a fresh repository elsewhere is made first, too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "empty").mkdir()

    assert run_command(["new", "file"]) == 2
    assert run_command(["new", "full"]) == 2
    assert run_command(["new", "empty"]) == 0

    assert capsys.readouterr().err.count("exists already: choose another name") == 2
    assert (tmp_path / "file").read_text() == "mine"
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]


def test_the_project_installs_what_it_imports(tmp_path: Path) -> None:
    """The extras of the template are extras of this distribution."""
    make_project("shop", tmp_path / "shop")

    made = tomllib.loads((tmp_path / "shop" / "pyproject.toml").read_text())["project"]
    ours = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]

    asked = [*made["dependencies"], *made["optional-dependencies"]["dev"]]
    named = [line for line in asked if line.startswith("arvo-events[")]
    extras = {extra for line in named for extra in line.partition("[")[2][:-1].split(",")}
    assert extras == {"cli", "console", "http", "testing"}
    assert extras <= ours["optional-dependencies"].keys()
