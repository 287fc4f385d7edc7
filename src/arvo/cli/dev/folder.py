"""Folder: where `arvo dev` stores its database between two runs."""

from pathlib import Path
from typing import Final

FOLDER: Final = ".arvo"
DATABASE: Final = "dev.db"


def make_folder(project: Path) -> str:
    """Make the folder in that of a *project*, and return the URL of the database in it.

    Git ignores the folder: the database holds the records of one developer.
    """
    folder = project / FOLDER
    folder.mkdir(exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    return f"sqlite:///{FOLDER}/{DATABASE}"
