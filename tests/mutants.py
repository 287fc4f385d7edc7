"""Mutants: compare the mutants that survived with the list of explained ones."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from difflib import ndiff
from pathlib import Path
from typing import Final

LIST: Final = Path("tests/mutants.md")
MUTANTS: Final = Path("mutants")
# The exit codes of mutmut for a killed mutant: a test failed, or ran forever (several signals), or
# mypy refused the code (37).
KILLED: Final = {1, 3, 24, 36, 37, 152, 255, -24, -9}
# SQL is not case-sensitive, so a mutant in upper case is the same statement.
SQL: Final = re.compile(
    r'" ?(begin|commit|delete|insert|pragma|release|rollback|savepoint|select|update|values)\b'
    r"|[=<] \(?\?"
)


def survivors(room: str) -> Iterator[str]:
    """Yield the mutants in the folder *room* that neither a test nor mypy killed.

    A mutant is described by file, function and changed lines. Its number would change with every
    edit of the file.
    """
    for meta in sorted(MUTANTS.joinpath(room).rglob("*.meta")):
        source = meta.with_suffix("")
        text = source.read_text()
        # Not with `ast.get_source_segment`, which splits these long files again for each function.
        lines = text.splitlines()
        functions = {
            node.name: lines[node.lineno - 1 : node.end_lineno]
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "__mutmut_" in node.name
        }
        for name, code in json.loads(meta.read_text())["exit_code_by_key"].items():
            if code in KILLED:
                continue
            mutant = name.rpartition(".")[2]
            function = mutant.rpartition("__mutmut_")[0]
            removed, added = _changed(
                function, functions[f"{function}__mutmut_orig"], mutant, functions[mutant]
            )
            if SQL.search(removed) and removed.lower() == added.lower():
                continue
            shown = function[2:].replace("ǁ", ".")
            note = "" if code == 0 else f" ({_reason(code)})"
            yield f"{source.relative_to(MUTANTS)} {shown}{note}: `{removed}` → `{added}`"


def _reason(code: int | None) -> str:
    return {None: "not reached", 33: "no test covers it"}.get(code, f"exit code {code}")


def _changed(function: str, old: list[str], mutant: str, new: list[str]) -> tuple[str, str]:
    before = [line.replace(f"{function}__mutmut_orig", function) for line in old]
    after = [line.replace(mutant, function) for line in new]
    lines = [line for line in ndiff(before, after) if line[:2] in ("- ", "+ ")]
    removed = " ".join(line[2:].strip() for line in lines if line[0] == "-")
    added = " ".join(line[2:].strip() for line in lines if line[0] == "+")
    return removed, added


def main() -> int:
    """Compare the survivors in the given rooms with the list; return 1 if they differ.

    A survivor that is not listed must be killed or explained. A listed mutant that is gone or
    killed now must be removed, because its line would hide the next mutant that looks like it.
    """
    rooms = sys.argv[1:]
    # Several mutants of one line may look the same; one reason is enough for them.
    survived = {mutant for room in rooms for mutant in survivors(room)}
    listed = {line[2:] for line in LIST.read_text().splitlines() if line.startswith("- ")}
    known = {line for line in listed if line.startswith(tuple(f"{room}/" for room in rooms))}
    print(f"{', '.join(rooms)}: {len(survived)} survived; in {LIST} {len(known)} are explained")
    for mutant in sorted(survived - known):
        print(f"unexplained: - {mutant}")
    for mutant in sorted(known - survived):
        print(f"no longer survives: - {mutant}")
    return int(survived != known)


if __name__ == "__main__":
    sys.exit(main())
