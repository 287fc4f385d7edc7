"""Server main: `arvo mcp serve` in a process whose id a test knows."""

import os
import sys
from pathlib import Path

from arvo.cli.app import run_command

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "pid").write_text(str(os.getpid()))
    arguments = ("tests.mcp.expenses:system", "--backend", f"sqlite:///{folder}/arvo.db")
    raise SystemExit(run_command(["mcp", "serve", *arguments, "--domain", "human.approval"]))
