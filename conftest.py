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

from tests import servers

# What a page may read from the environment: a server is started for the first that does.
_SERVERS = {
    "REDIS_URL": servers.redis_url,
    "KAFKA_URL": lambda: f"kafka://{servers.kafka_servers()}",
}


class _Evaluator(PythonEvaluator):
    """Runs a block, and then the tests that it defines: readers see tests as they write them."""

    def __call__(self, example: Example) -> None:
        for name, started in _SERVERS.items():
            if name in example.parsed:
                os.environ.setdefault(name, started())
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
