"""Mutants: the faults that no test noticed, held against the list of those that are explained."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from difflib import ndiff
from pathlib import Path
from typing import Final

LIST: Final = Path("tests/mutants.md")
MADE: Final = Path("mutants")
# What mutmut notes of a mutant: a test failed, or ran for ever (by one of several signals), or mypy
# refuses it (37).
KILLED: Final = {1, 3, 24, 36, 37, 152, 255, -24, -9}
# SQL knows no upper case, so a mutant that shouts is the same statement.
SQL: Final = re.compile(
    r'" ?(begin|commit|delete|insert|pragma|release|rollback|savepoint|select|update|values)\b'
    r"|[=<] \(?\?"
)


def survivors(room: str) -> Iterator[str]:
    """Name the mutants under *room*, a folder, that neither a test nor mypy killed.

    By file, function and changed lines, not by number: a number changes with every other line.
    """
    for meta in sorted(MADE.joinpath(room).rglob("*.meta")):
        source = meta.with_suffix("")
        text = source.read_text()
        # Not by `ast.get_source_segment`, which takes these long files apart for each function.
        lines = text.splitlines()
        found = {
            node.name: lines[node.lineno - 1 : node.end_lineno]
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "__mutmut_" in node.name
        }
        for name, code in json.loads(meta.read_text())["exit_code_by_key"].items():
            if code in KILLED:
                continue
            mutant = name.rpartition(".")[2]
            function = mutant.rpartition("__mutmut_")[0]
            gone, came = _changed(
                function, found[f"{function}__mutmut_orig"], mutant, found[mutant]
            )
            if SQL.search(gone) and gone.lower() == came.lower():
                continue
            shown = function[2:].replace("ǁ", ".")
            note = "" if code == 0 else f" ({_why(code)})"
            yield f"{source.relative_to(MADE)} {shown}{note}: `{gone}` → `{came}`"


def _why(code: int | None) -> str:
    return {None: "not reached", 33: "no test comes here"}.get(code, f"exit code {code}")


def _changed(function: str, old: list[str], mutant: str, new: list[str]) -> tuple[str, str]:
    before = [line.replace(f"{function}__mutmut_orig", function) for line in old]
    after = [line.replace(mutant, function) for line in new]
    lines = [line for line in ndiff(before, after) if line[:2] in ("- ", "+ ")]
    gone = " ".join(line[2:].strip() for line in lines if line[0] == "-")
    came = " ".join(line[2:].strip() for line in lines if line[0] == "+")
    return gone, came


def main() -> int:
    """Hold what survived in the rooms that are named against the list; fail where they differ.

    A survivor that is not listed is to be killed or explained. A line whose mutant is gone, or is
    killed now, would hide the next one that looks like it.
    """
    rooms = sys.argv[1:]
    # Several mutants of one line may look alike; one reason is enough for them.
    found = {each for room in rooms for each in survivors(room)}
    listed = {line[2:] for line in LIST.read_text().splitlines() if line.startswith("- ")}
    known = {line for line in listed if line.startswith(tuple(f"{room}/" for room in rooms))}
    print(f"{', '.join(rooms)}: {len(found)} survived; in {LIST} {len(known)} are explained")
    for each in sorted(found - known):
        print(f"unexplained: - {each}")
    for each in sorted(known - found):
        print(f"survives no more: - {each}")
    return int(found != known)


if __name__ == "__main__":
    sys.exit(main())
