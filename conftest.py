"""Conftest: the Python in README.md, in docs/ and in docstrings, run as tests."""

import os
import types
from doctest import ELLIPSIS
from typing import Any

from sybil import Example, Sybil
from sybil.document import PythonDocStringDocument
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.parsers.rest import DocTestParser
from sybil.sybil import SybilCollection

# What a page reads from the environment, and the function of tests.servers that gives it.
_SERVERS = {
    "KAFKA_URL": "kafka_url",
    "NATS_URL": "nats_url",
    "POSTGRES_URL": "postgres_url",
    "REDIS_URL": "redis_url",
}


def _serve(example: Example) -> None:
    """Start the servers that a block names, where no URL is given: other pages need none."""
    for name, function in _SERVERS.items():
        if name in str(example.parsed) and name not in os.environ:
            from tests import servers

            os.environ[name] = getattr(servers, function)()


class _Evaluator(PythonEvaluator):
    """Runs a block, and then the tests that it defines: readers see tests as they write them."""

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


def _named(namespace: dict[str, Any]) -> None:
    # Classes of a page say where they are from.
    namespace["__name__"] = "page"


# The snippets of one page share a namespace: a page reads from top to bottom.
_readme = Sybil(
    name="readme",
    parsers=[_python(), SkipParser()],
    filenames=["README.md"],
    excludes=["*/*"],
    setup=_named,
)
_pages = Sybil(
    name="pages",
    parsers=[_python(), SkipParser()],
    path="docs",
    pattern="*.md",
    setup=_named,
)
_docstrings = Sybil(
    name="docstrings",
    parsers=[DocTestParser()],
    path="src",
    pattern="*.py",
    document_types={".py": PythonDocStringDocument},
)

pytest_collect_file = SybilCollection([_readme, _pages, _docstrings]).pytest()
