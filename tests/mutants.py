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
# What mutmut notes of a mutant: a test failed, or ran for ever (by one of several signals).
KILLED: Final = {1, 3, 24, 36, 152, 255, -24, -9}
# SQL knows no upper case, so a mutant that shouts is the same statement.
SQL: Final = re.compile(r'" ?(begin|commit|delete|insert|select|update|values)\b')


def survivors(room: str) -> Iterator[str]:
    """Name the mutants under *room*, a folder, that no test killed.

    By file, function and changed lines, not by number: a number changes with every other line.
    """
    for meta in sorted(MADE.joinpath(room).glob("*.meta")):
        source = meta.with_suffix("")
        text = source.read_text()
        found = {
            node.name: ast.get_source_segment(text, node) or ""
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


def _changed(function: str, old: str, mutant: str, new: str) -> tuple[str, str]:
    before = old.replace(f"{function}__mutmut_orig", function).splitlines()
    after = new.replace(mutant, function).splitlines()
    lines = [line for line in ndiff(before, after) if line[:2] in ("- ", "+ ")]
    gone = " ".join(line[2:].strip() for line in lines if line[0] == "-")
    came = " ".join(line[2:].strip() for line in lines if line[0] == "+")
    return gone, came


def main() -> int:
    """Say which survivors nobody has explained yet, and fail where there is one."""
    # Several mutants of one line may look alike; one reason is enough for them.
    known = {line[2:] for line in LIST.read_text().splitlines() if line.startswith("- ")}
    found = [each for room in sys.argv[1:] for each in survivors(room)]
    unknown = [each for each in found if each not in known]
    print(f"{len(found)} survived, {len(unknown)} of them unexplained; explain them in {LIST}:")
    for each in unknown:
        print(f"- {each}")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
