"""Place: the file and the line of the user's code at which an error arose."""

from pathlib import Path
from traceback import extract_tb
from typing import Final

import arvo

# Where a checkout of Arvo is the folder, its own code lies there as well.
_LIBRARY: Final = Path(arvo.__file__).parent


def find_place(error: BaseException, folder: Path) -> str | None:
    """Return the last place in the code below *folder*, such as `shop/system.py:12`, or None.

    It is that of the error which *error* reports. Installed packages and Arvo are not the user's
    code, also where they lie below the folder.
    """
    cause = error.__cause__ or error
    places = [(frame.filename, frame.lineno) for frame in extract_tb(cause.__traceback__)]
    if isinstance(cause, SyntaxError) and cause.filename:
        places.append((cause.filename, cause.lineno))
    for name, line in reversed(places):
        path = Path(name)
        is_library = "site-packages" in path.parts or path.is_relative_to(_LIBRARY)
        if path.is_relative_to(folder) and not is_library:
            return f"{path.relative_to(folder)}:{line}"
    return None
