"""The page of delivery promises lists every file whose tests prove one, and no other."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "delivery-promises.md"
_ROW = re.compile(r"^\| (I\d+) \| .* \| (.*) \|$", re.MULTILINE)


def _promises(tree: ast.AST) -> Iterator[str]:
    """Yield the numbers in every `@pytest.mark.promise("I1", ...)` of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                match decorator:
                    case ast.Call(func=ast.Attribute(attr="promise"), args=arguments):
                        yield from (ast.literal_eval(argument) for argument in arguments)
                    case _:
                        pass


@cache
def _marked() -> Mapping[str, set[str]]:
    """Map each promise to the files that hold a test with its marker."""
    files: dict[str, set[str]] = defaultdict(set)
    for folder in ("tests", "property_tests"):
        for path in (ROOT / folder).rglob("test_*.py"):
            for number in _promises(ast.parse(path.read_text())):
                files[number].add(path.relative_to(ROOT).as_posix())
    return files


def _listed() -> Mapping[str, set[str]]:
    """Map each promise to the files that the page names as its proof."""
    rows = _ROW.findall(PAGE.read_text())
    return {number: set(re.findall(r"`([^`]+\.py)`", proof)) for number, proof in rows}


def _in_order(numbers: Iterable[str]) -> list[str]:
    def count(number: str) -> int:
        return int(number[1:])

    return sorted(numbers, key=count)


def test_the_page_lists_every_promise() -> None:
    """A promise without a test is a claim."""
    assert _in_order(_listed()) == [f"I{number}" for number in range(1, len(_listed()) + 1)]
    assert _marked().keys() == _listed().keys()


@pytest.mark.parametrize("number", _in_order(_listed()))
def test_the_page_names_the_files_that_prove_a_promise(number: str) -> None:
    """An operator who doubts a promise finds its tests, and `pytest -m promise` runs them."""
    assert _listed()[number] == _marked()[number]
