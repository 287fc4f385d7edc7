"""Project: the files of a new project, and the folder that gets them."""

import keyword
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

# In the templates' names and texts it stands for the name of the project.
_NAME: Final = "PROJECT"
# Templates have it, so that no tool takes them for code or settings of this library.
_SUFFIX: Final = ".template"
# A name is a package of Python, a part of addresses and of an image's name.
_VALID: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
# Names that would hide a module that the project itself imports.
_TAKEN: Final = frozenset({"annotated_types", "arvo", "attrs", "datetime", "pytest", "tests"})


def find_fault(name: str) -> str | None:
    """Return why no project can have *name*, None if one can."""
    if not _VALID.fullmatch(name):
        return f"expected a small letter, then at most 39 of a-z, 0-9 and _, got {name!r}"
    if keyword.iskeyword(name):
        return f"{name} is a keyword of Python: choose another name"
    if name in _TAKEN:
        return f"{name} would hide a module of that name: choose another name"
    return None


def is_free(folder: Path) -> bool:
    """Return True if *folder* does not exist, or is a folder without anything in it."""
    if not folder.is_dir():
        return not folder.exists() and not folder.is_symlink()
    return not any(folder.iterdir())


def make_project(name: str, folder: Path) -> None:
    """Write the files of the project *name* into *folder*, which is made."""
    _copy(files("arvo.cli.new") / "template", folder, name)


def _copy(source: Traversable, target: Path, name: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        path = target / entry.name.replace(_NAME, name).removesuffix(_SUFFIX)
        if entry.is_dir():
            _copy(entry, path, name)
        else:
            path.write_text(entry.read_text(encoding="utf-8").replace(_NAME, name), "utf-8")
