"""Page: what a reader of a page of Markdown does with its blocks, in order."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, TypeAlias

from attrs import evolve, frozen

_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE: Final = re.compile(r"`([\w./-]+\.\w+|[\w/]*Dockerfile)`[^`]*:\s*$")
_APPEND: Final = re.compile(r"\badd\b.*\bto\b|\bappend", re.IGNORECASE | re.DOTALL)
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)


@frozen
class WriteFile:
    """Save a block as a file, or append it to one."""

    path: str
    text: str
    is_appended: bool
    line: int


@frozen
class RunShell:
    """Run a block in a shell; each line of *output* must occur in what it prints."""

    text: str
    line: int
    output: str | None = None


@frozen
class RunPython:
    """Run a block as the next part of the page's module."""

    text: str
    line: int


Step: TypeAlias = WriteFile | RunShell | RunPython


def read_page(text: str) -> tuple[Step, ...]:
    """Return the steps of a page: its Python and `sh` blocks, and its other blocks with a file."""
    return tuple(_steps(text))


def lacks(output: str, printed: str) -> str | None:
    """Return the first line of *output* that does not occur in *printed*, None if all do.

    `...` in a line stands for any text. Lines occur in their order.
    """
    found = 0
    lines = printed.splitlines()
    for line in filter(str.strip, output.splitlines()):
        if line.strip() == "...":
            continue
        pattern = re.compile(r".*?".join(map(re.escape, line.strip().split("..."))))
        while found < len(lines) and not pattern.search(lines[found]):
            found += 1
        if found == len(lines):
            return line
        found += 1
    return None


def _steps(text: str) -> Iterator[Step]:
    end, is_output = 0, False
    for block, following in pairwise([*_FENCE.finditer(text), None]):
        assert block is not None
        before, end = _paragraph(text[end : block.start()]), block.end()
        if is_output:
            is_output = False
            continue
        step = _step(block, before, text.count("\n", 0, block.start()) + 1)
        if isinstance(step, RunShell) and following is not None and following[1] == "text":
            is_output = _leads_to_output(text[end : following.start()])
            step = evolve(step, output=following[2] if is_output else None)
        if step is not None:
            yield step


def _leads_to_output(between: str) -> bool:
    """Return True if a block of text after this prose is the output of the shell before it."""
    prose = _COMMENT.sub("", between).strip()
    return not prose or (prose.endswith(":") and "\n\n" not in prose)


def _step(block: re.Match[str], before: str, line: int) -> Step | None:
    language, text = block[1], block[2]
    named = _FILE.search(before)
    if language == "sh":
        return RunShell(text, line)
    if named is not None and language:
        return WriteFile(named[1], text, _APPEND.search(before) is not None, line)
    return RunPython(text, line) if language == "python" else None


def _paragraph(text: str) -> str:
    """Return the last paragraph of *text*, without comments."""
    return _COMMENT.sub("", text).strip().rpartition("\n\n")[2]
