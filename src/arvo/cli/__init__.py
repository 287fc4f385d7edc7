"""The command line: `arvo run`, `send`, `workflows`, `describe`, `console` and others."""

import sys
from collections.abc import Sequence

from arvo.cli.early_stop import exit_on_signal
from arvo.extras import extra_of, install_command


def main(tokens: Sequence[str] | None = None) -> int:
    """Run `arvo` with *tokens* (default: the process's arguments) and return the exit code."""
    given = sys.argv[1:] if tokens is None else tokens
    exit_on_signal(given)
    try:
        from arvo.cli.app import run_command
    except ModuleNotFoundError as error:
        extra = extra_of(error)
        if extra is None:
            raise
        text = f"arvo: the command line needs the extra {extra!r}: {install_command(extra)}"
        sys.stderr.write(f"{text}\n")
        return 2
    return run_command(given)
