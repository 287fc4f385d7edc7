"""Conftest: runs the Python in README.md, docs/ and docstrings as tests, and has the profiles."""

import gc
import os
import types
from doctest import ELLIPSIS
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sybil import Example, Sybil
from sybil.document import PythonDocStringDocument
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.parsers.rest import DocTestParser
from sybil.sybil import SybilCollection

# The environment variables that pages read, and the function of tests.servers for each.
_SERVERS = {
    "KAFKA_URL": "kafka_url",
    "NATS_URL": "nats_url",
    "POSTGRES_URL": "postgres_url",
    "REDIS_URL": "redis_url",
}

# The profiles of Hypothesis. Whole systems take long to draw, and a shared machine is slow at
# times. Neither is a fault.
_SLOW_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]
_PROFILES = {
    "quick": settings(
        max_examples=30, deadline=None, database=None, suppress_health_check=_SLOW_CHECKS
    ),
    "deep": settings(max_examples=2000, deadline=None, suppress_health_check=_SLOW_CHECKS),
}


def pytest_configure(config: pytest.Config) -> None:
    """Choose the number of examples for each law.

    `make test` draws the same ones in each run, so that it fails for a change and not by chance.
    `make test-deep`, and `--hypothesis-seed`, draw others.
    """
    name = os.environ.get("HYPOTHESIS_PROFILE", "quick")
    is_fixed = name == "quick" and config.getoption("--hypothesis-seed") is None
    settings.register_profile(name, _PROFILES[name], derandomize=is_fixed)
    settings.load_profile(name)


def pytest_collection_finish() -> None:
    """Let no later collection of garbage walk through what was imported and collected as tests."""
    gc.collect()
    gc.freeze()


def _serve(example: Example) -> None:
    """Start the servers whose variable a block names and the environment lacks."""
    for name, function in _SERVERS.items():
        if name in str(example.parsed) and name not in os.environ:
            from tests import servers

            os.environ[name] = getattr(servers, function)()


class _Evaluator(PythonEvaluator):
    """Runs a block and then the tests that it defines: pages show tests as users write them."""

    def __call__(self, example: Example) -> None:
        _serve(example)
        before = dict(example.namespace)
        super().__call__(example)
        for name, value in list(example.namespace.items()):
            is_test = name.startswith("test_") and isinstance(value, types.FunctionType)
            if is_test and before.get(name) is not value:
                value()


def _python() -> PythonCodeBlockParser:
    parser = PythonCodeBlockParser(doctest_optionflags=ELLIPSIS)
    parser.codeblock_parser = parser.codeblock_parser_class("python", _Evaluator())
    return parser


def _enter(namespace: dict[str, Any]) -> None:
    # Classes of a page are defined in a module of this name.
    namespace["__name__"] = "page"
    # A page may write files, such as sqlite:///orders.db: they go with the page.
    folder = TemporaryDirectory(ignore_cleanup_errors=True)
    namespace["__folder"], namespace["__before"] = folder, Path.cwd()
    os.chdir(folder.name)


def _leave(namespace: dict[str, Any]) -> None:
    os.chdir(namespace["__before"])
    namespace["__folder"].cleanup()


# The snippets of one page share a namespace: a page reads from top to bottom.
_readme = Sybil(
    name="readme",
    parsers=[_python(), SkipParser()],
    filenames=["README.md"],
    excludes=["*/*"],
    setup=_enter,
    teardown=_leave,
)
_pages = Sybil(
    name="pages",
    parsers=[_python(), SkipParser()],
    path="docs",
    pattern="*.md",
    setup=_enter,
    teardown=_leave,
)
_docstrings = Sybil(
    name="docstrings",
    parsers=[DocTestParser()],
    path="src",
    pattern="*.py",
    document_types={".py": PythonDocStringDocument},
)

pytest_collect_file = SybilCollection([_readme, _pages, _docstrings]).pytest()
