"""Follow: does what a page says, in a fresh virtual environment outside of the checkout.

The reader has the built wheel, the package index and an empty folder; what the page does not
install is missing.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

from uv import find_uv_bin

from tests.pages.page import RunPython, RunShell, WriteFile, read_page
from tests.pages.reader import Reader

ROOT: Final = Path(__file__).parents[2]
# Of our environment the reader has what leads to the package index, and no path to the checkout.
_INHERITED: Final = {"HOME", "LANG", "TMPDIR", "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"}
_INHERITED_PREFIXES: Final = ("UV_", "SSL_")
# The reader's `pip` is uv's, for its cache; what the pages call arvo-events is the wheel.
_PIP: Final = """#!/bin/bash
"{uv}" pip "${{@/#arvo-events/{wheel}}}" && exit
echo "pip: this step needs the package index, or a cache of uv that has the packages" >&2
exit 1
"""


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout into *folder*, without an index, and return its path."""
    command = (find_uv_bin(), "build", "--wheel", "--no-build-isolation", "--offline", "--quiet")
    subprocess.run(
        (*command, "--python", sys.executable, "--out-dir", folder, ROOT), check=True, timeout=120
    )
    [wheel] = folder.glob("*.whl")
    return wheel


def follow(page: Path, wheel: Path, folder: Path) -> None:
    """Do each step of *page* in *folder*; raise AssertionError for the first that fails."""
    reader = Reader(folder, _make_environment(folder / "venv", wheel))
    try:
        for step in read_page(page.read_text()):
            match step:
                case WriteFile():
                    problem = reader.write(step)
                case RunShell():
                    problem = reader.run_shell(step)
                case RunPython():
                    problem = reader.run_python(step)
            assert not problem, f"{page.name}, line {step.line}: {problem}"
    finally:
        reader.stop()


def _make_environment(home: Path, wheel: Path) -> dict[str, str]:
    """Make a virtual environment; return the variables of a shell in which it is active."""
    venv.create(home, with_pip=False)
    pip = home / "bin" / "pip"
    pip.write_text(_PIP.format(uv=find_uv_bin(), wheel=wheel))
    pip.chmod(0o755)
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    path = f"{home / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    # Without an index, uv gives up after a few of these seconds and not after minutes.
    limits = {"UV_HTTP_TIMEOUT": "15", "UV_NO_PROGRESS": "1"}
    return {**limits, **inherited, "PATH": path, "VIRTUAL_ENV": str(home), "COLUMNS": "100"}
