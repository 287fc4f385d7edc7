"""Log lines: docs/logging.md has each line that our code can log, and no other."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from attrs import field, frozen

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "arvo"
PAGE = ROOT / "docs" / "logging.md"

# The level of each method of a logger.
LEVELS: Final = {
    **{name: name for name in ("debug", "info", "warning", "error", "critical")},
    "exception": "error",
}
# A row of a table: levels, logger, message, fields.
ROW: Final = re.compile(r"^\| ([a-z, ]+) \| `(arvo[\w.]*)` \| `([^`]+)` \| (.*?) \|", re.MULTILINE)


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))


@frozen(order=True)
class Line:
    """A line of the log, as the code or the page has it."""

    message: str
    logger: str
    levels: tuple[str, ...] = field(converter=_sorted)
    fields: tuple[str, ...] = field(converter=_sorted)


def _loggers(tree: ast.Module) -> dict[str, str]:
    """Return the variables of a module that hold a logger, with its name."""
    found: dict[str, str] = {}
    for node in tree.body:
        match node:
            case ast.AnnAssign(
                target=ast.Name(id=variable),
                value=ast.Call(
                    func=ast.Name(id="get_logger"), args=[ast.Constant(value=str(name))]
                ),
            ):
                found[variable] = f"arvo.{name}"
            case _:
                pass
    return found


def _names(function: ast.AST) -> Iterator[str]:
    """Return the fields that a function passes to `fields`."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "fields":
            if node.args:
                yield "event"
            for keyword in node.keywords:
                assert keyword.arg is not None, ast.unparse(node)
                yield keyword.arg


def _functions(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _logged(tree: ast.Module) -> Iterator[Line]:
    """Return the lines that a module logs by `logger.warning("...", extra=fields(...))`."""
    loggers = _loggers(tree)
    for function in _functions(tree):
        for node in ast.walk(function):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id=variable), attr=method),
                    args=[ast.Constant(value=str(message)), *_],
                ) if variable in loggers and method in LEVELS:
                    names = set(_names(function))
                    yield Line(message, loggers[variable], [LEVELS[method]], names)
                case _:
                    pass


def _commanded(tree: ast.Module) -> Iterator[Line]:
    """Return the lines that a pure module asks for by `Log("info", "...", {...})`."""
    for function in _functions(tree):
        for node in ast.walk(function):
            match node:
                case ast.Call(
                    func=ast.Name(id="Log"), args=[level, ast.Constant(value=str(message)), *rest]
                ):
                    # The attributes are a dict, or a variable that holds the function's only one.
                    dicts = function if rest and isinstance(rest[0], ast.Name) else node
                    names = {key.removeprefix("arvo_") for key in _keys(dicts)}
                    # What the worker adds.
                    names |= {"event", "handler", "revision"}
                    yield Line(message, "arvo.handlers", _texts(level), names)
                case _:
                    pass


def _texts(tree: ast.AST) -> set[str]:
    constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {value for value in constants if isinstance(value, str)} & set(LEVELS)


def _keys(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key in node.keys:
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value


def test_the_page_has_each_line_that_the_code_logs() -> None:
    """An operator who meets a line finds what to do; a line that is gone misleads no reader."""
    in_code = {
        line
        for path in SRC.rglob("*.py")
        # The strategies for tests of users draw a `Log`.
        if SRC / "testing" not in path.parents
        for tree in [ast.parse(path.read_text())]
        for line in (*_logged(tree), *_commanded(tree))
    }
    in_page = {
        Line(message, logger, levels.split(", "), re.findall(r"`(\w+)`", names))
        for levels, logger, message, names in ROW.findall(PAGE.read_text())
    }

    assert sorted(in_page - in_code) == []
    assert sorted(in_code - in_page) == []


def test_each_call_of_a_logger_has_a_constant_message() -> None:
    """Lines are counted and filtered by their message; a page can list no other."""
    others = [
        f"{path.name}: {ast.unparse(node)}"
        for path in SRC.rglob("*.py")
        for tree in [ast.parse(path.read_text())]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in _loggers(tree)
        and node.func.attr in {*LEVELS, "log"}
        and not isinstance(node.args[0], ast.Constant)
    ]

    # What a handler logs by the command `Log` has the message of its author.
    assert len(others) == 1
    assert others[0].startswith("stats.py: handler_logger.log(level, log.message, ")
