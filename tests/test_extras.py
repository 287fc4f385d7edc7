"""Extras: without an optional dependency the rest works, and the error names the extra."""

import re
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import arvo
from arvo.extras import EXTRAS, extra_of, needs_extra

ROOT = Path(__file__).parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text()


def run_without_drivers(statements: str) -> "subprocess.CompletedProcess[str]":
    """Run statements in a process in which no module of an extra can be imported."""
    script = f"import sys\nfor name in {list(EXTRAS)}: sys.modules[name] = None\n{statements}"
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )


def test_a_star_import_works_without_any_driver() -> None:
    """A notebook or a tutorial begins with it."""
    ended = run_without_drivers(
        "from arvo import *\nprint(Runtime.__name__, SqliteBackend.__name__)"
    )

    assert (ended.stdout, ended.stderr) == ("Runtime SqliteBackend\n", "")


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("KafkaBroker", "kafka"),
        ("NatsBroker", "nats"),
        ("NatsMemory", "nats"),
        ("PostgresBackend", "postgres"),
        ("PostgresMemory", "postgres"),
        ("RabbitBroker", "rabbit"),
        ("RedisBroker", "redis"),
        ("RedisMemory", "redis"),
    ],
)
def test_a_class_whose_driver_is_missing_names_its_extra(name: str, extra: str) -> None:
    """A reader can type the command. The message does not name the package index."""
    ended = run_without_drivers(f"from arvo import {name}")

    assert (
        f"ModuleNotFoundError: arvo.{name} needs the extra {extra!r}: "
        f"run `pip install 'arvo-events[{extra}]'`" in ended.stderr
    )


def test_the_testing_kit_names_its_extra() -> None:
    """Hypothesis is an extra as well."""
    ended = run_without_drivers("import arvo.testing")

    assert (
        "arvo.testing needs the extra 'testing': run `pip install 'arvo-events[testing]'`"
        in ended.stderr
    )


def test_help_and_inspect_work_without_any_driver() -> None:
    """They get every name that `dir` lists."""
    ended = run_without_drivers("import arvo, inspect\nprint(len(inspect.getmembers(arvo)) > 100)")

    assert (ended.stdout, ended.stderr) == ("True\n", "")


def test_a_class_that_needs_a_driver_is_public() -> None:
    """It can be imported by name and is listed by `dir`, though not by a star import."""
    for name in chain.from_iterable(arvo._NEED_DRIVERS.values()):
        assert getattr(arvo, name).__name__ == name
        assert name in dir(arvo)
        assert name not in arvo.__all__


def test_every_optional_dependency_belongs_to_an_extra_of_the_project() -> None:
    """The command of a message must work."""
    assert {
        extra
        for extra in EXTRAS.values()
        if not re.search(rf"^{extra} = \[", PROJECT, re.MULTILINE)
    } == set()


def test_an_error_of_another_module_is_not_changed() -> None:
    """It is not ours to explain."""
    unknown: Any = "no_such_module_of_theirs"

    with pytest.raises(ModuleNotFoundError, match=r"^No module named"), needs_extra("a feature"):
        __import__(unknown)

    assert extra_of(ImportError("no name")) is None


@pytest.mark.parametrize(
    "path",
    [*(ROOT / "src").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_text_tells_users_to_install_arvo_from_the_package_index(path: Path) -> None:
    """Another project has the name there."""
    assert not re.search(r"install\s+['\"]?arvo\b(?!-events)", path.read_text())
