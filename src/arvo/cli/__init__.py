"""cli: the workbench."""

import sys
from collections.abc import Sequence


def main(tokens: Sequence[str] | None = None) -> int:
    """Run `arvo` with these words, or those of the command line; gives the exit code."""
    try:
        from arvo.cli.app import started
    except ImportError as error:
        if error.name not in ("cyclopts", "rich"):
            raise
        sys.stderr.write("arvo: the command line needs its extra: pip install 'arvo[cli]'\n")
        return 2
    return started(sys.argv[1:] if tokens is None else tokens)
