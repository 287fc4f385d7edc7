"""Make `.venv` with what the project needs, once, also when two `make` run at the same time.

Called by the Makefile with the Python at hand: python3 requirements/make_venv.py
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
READY = VENV / "ready"
INPUTS = (ROOT / "pyproject.toml", ROOT / "requirements/dev.txt", ROOT / "requirements/uv.txt")


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - the Python at hand may be any
        version = ".".join(map(str, sys.version_info[:3]))
        return fail(f"Python 3.11 or later is needed, this is {version}: make PYTHON=python3.11")
    try:
        import ensurepip  # noqa: F401 - Debian leaves it out of its python3 package
        import fcntl
    except ModuleNotFoundError as error:
        return fail(f"Python's module {error.name} is missing; on Debian: apt install python3-venv")
    with (ROOT / ".venv.lock").open("w") as lock:
        # A second `make` waits here and then finds the work done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_ready():
            return 0
        print("setting up .venv (about 250 MB to download, 0.8 GB on disk)", flush=True)
        return install()


def is_ready() -> bool:
    if not READY.exists():
        return False
    made = READY.stat().st_mtime
    return all(path.stat().st_mtime <= made for path in INPUTS)


def install() -> int:
    python, uv = VENV / "bin/python", VENV / "bin/uv"
    hashed = ("--quiet", "--require-hashes")
    pip = (python, "-m", "pip", "install", "--disable-pip-version-check", *hashed)
    editable = ("--quiet", "--no-deps", "--no-build-isolation", "--editable", ".")
    for command in (
        (sys.executable, "-m", "venv", VENV),
        (*pip, "-r", "requirements/uv.txt"),
        (uv, "pip", "sync", *hashed, "requirements/dev.txt", "requirements/uv.txt"),
        (uv, "pip", "install", *editable),
    ):
        code = subprocess.run(list(map(str, command)), cwd=ROOT, check=False).returncode
        if code:
            line = " ".join(map(str, command[:4]))
            return fail(f"`{line} ...` failed with exit code {code}; its message stands above")
    READY.touch()
    return 0


def fail(message: str) -> int:
    print(f"setup: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
