"""New: the command that makes a project."""

from pathlib import Path

from arvo.cli.new.project import find_fault, is_free, make_project
from arvo.cli.terminal.errors import UsageError
from arvo.cli.terminal.output import print_line


def new(name: str, /) -> None:
    """Make a project in the folder NAME: a workflow, its tests, a Dockerfile and CI.

    NAME is the name of its Python package as well, such as shop. Its tests pass at once.
    """
    fault = find_fault(name)
    if fault is not None:
        raise UsageError(f"new: {fault}")
    if not is_free(Path(name)):
        raise UsageError(f"new: {name} exists already: choose another name, or another folder")
    make_project(name, Path(name))
    print_line(f"made {name}; next:")
    print_line(f"  cd {name}")
    print_line("  pip install --editable '.[dev]'")
    print_line("  pytest")
