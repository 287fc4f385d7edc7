"""Module: runs blocks of a page as one module, in the Python of the page's reader.

Each line of standard input names the file of the next block and the file for its result: the
traceback of what the block has raised, if anything, and then a line that says that it is done.
"""

import doctest
import sys
import traceback
import types
from pathlib import Path


def main() -> None:
    sys.path.insert(0, str(Path.cwd()))
    page = types.ModuleType("page")
    sys.modules["page"] = page
    for line in sys.stdin:
        block, result = map(Path, line.split())
        try:
            run_block(block, vars(page))
            raised = ""
        except BaseException:  # noqa: BLE001 - whatever ends a block is its result
            raised = traceback.format_exc()
        result.write_text(f"{raised}done\n")


def run_block(path: Path, names: dict[str, object]) -> None:
    """Run a block, and then the tests that it defines."""
    text, before = path.read_text(), dict(names)
    if text.lstrip().startswith(">>>"):
        _run_session(text, names)
    else:
        exec(compile(text, path, "exec"), names)  # noqa: S102 - the text is ours
    for name, value in list(names.items()):
        is_test = name.startswith("test_") and isinstance(value, types.FunctionType)
        if is_test and before.get(name) is not value:
            value()  # type: ignore[operator]


def _run_session(text: str, names: dict[str, object]) -> None:
    session = doctest.DocTestParser().get_doctest(text, names, "page", None, None)
    complaints: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    if runner.run(session, out=complaints.append, clear_globs=False).failed:
        raise AssertionError("".join(complaints))
    names.update(session.globs)


if __name__ == "__main__":
    main()
