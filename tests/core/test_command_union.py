"""Command union: mypy names every place that has to change when a command is added."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import pytest

from arvo import Command

ROOT: Final = Path(__file__).parent.parent.parent
COMMANDS: Final = frozenset(command.__name__ for command in get_args(Command))
# Code that names this many commands decides about all of them; fewer are a special case.
MANY: Final = 5

# The functions that decide about every command, and what each decides.
PLACES: Final = {
    ("engine/step/apply_commands.py", "_apply"): "the effect of the command on a workflow",
    ("engine/step/build_commit.py", "build_event_handler_commit"): "whether any handler may use it",
    ("handlers/invoke.py", "_check_command"): "the checks of its fields at run time",
    ("handlers/invoke.py", "_is_retained"): "whether it stays in a turn that fails or violates",
    ("handlers/machine/emission.py", "_check_command"): "whether a chart may emit it",
    ("testing/given/turn.py", "_normalise"): "the fields that a comparison of turns ignores",
}

_UNION: Final = "Command: TypeAlias = (\n    Emit"
_WITH_PAUSE: Final = '''
@final
@frozen
class Pause:
    """A command that no code knows yet."""


Command: TypeAlias = (
    Pause
    | Emit'''
_ERROR: Final = re.compile(r"src/arvo/(.+?):(\d+): error: .*\bPause\b")


@pytest.mark.deep
def test_mypy_names_every_place_to_change_for_a_new_command(tmp_path: Path) -> None:
    """An author who adds a command works through a list of errors and forgets no place."""
    shutil.copytree(ROOT / "src" / "arvo", tmp_path / "src" / "arvo")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    module = tmp_path / "src" / "arvo" / "core" / "command.py"
    source = module.read_text(encoding="utf-8")
    assert _UNION in source
    module.write_text(source.replace(_UNION, _WITH_PAUSE), encoding="utf-8")

    # Not the project's cache: the copy would invalidate it.
    arguments = ["--cache-dir", "cache", "--no-error-summary", "src/arvo"]
    mypy = subprocess.run(
        [sys.executable, "-m", "mypy", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    places = {
        (file, _function_at(tmp_path / "src" / "arvo" / file, int(line)))
        for file, line in _ERROR.findall(mypy.stdout)
    }
    assert places == set(PLACES), mypy.stdout + mypy.stderr


@pytest.mark.parametrize("path", sorted(ROOT.glob("src/arvo/**/*.py")), ids=lambda path: path.name)
def test_no_code_lists_the_commands_in_a_form_that_mypy_does_not_check(path: Path) -> None:
    """A hand-written tuple, or a `match` with a wildcard, would silently lack a new command."""
    source = path.read_text(encoding="utf-8")
    if path.match("core/command.py") or "arvo.core.command" not in source:
        return

    assert list(_unchecked_lists(ast.parse(source))) == []


def _unchecked_lists(tree: ast.AST) -> Iterator[int]:
    annotations = set(_annotations(tree))
    for node in ast.walk(tree):
        if node in annotations:
            continue
        match node:
            case ast.Tuple() | ast.List() | ast.Set() | ast.Dict() | ast.BinOp():
                is_unchecked = True
            case ast.Match(cases=cases):
                is_unchecked = any(_is_wildcard(case.pattern) for case in cases)
                # The classes of the patterns alone: the bodies hold code of their own.
                node = ast.Module([ast.Expr(name) for case in cases for name in _classes(case)], [])
            case _:
                continue
        names = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        if is_unchecked and len(names & COMMANDS) >= MANY:
            yield getattr(node, "lineno", 0)


def _annotations(tree: ast.AST) -> Iterator[ast.AST]:
    # mypy checks the calls of a function against them.
    for node in ast.walk(tree):
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(annotation, ast.AST):
                yield from ast.walk(annotation)


def _classes(case: ast.match_case) -> Iterator[ast.expr]:
    return (node.cls for node in ast.walk(case.pattern) if isinstance(node, ast.MatchClass))


def _is_wildcard(pattern: ast.pattern) -> bool:
    return isinstance(pattern, ast.MatchAs) and pattern.pattern is None


def _function_at(path: Path, line: int) -> str:
    """Return the innermost function around a line."""
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    return max(functions, key=lambda function: function.lineno).name
