"""Test pythons: runs the suite on each supported Python that is to be had (`make test-pythons`)."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / ".arvo" / "pythons"
# Without servers, browsers and processes, whose behaviour does not depend on the interpreter.
PARTS: Final = (
    "tests/core",
    "tests/engine",
    "tests/handlers",
    "tests/statechart",
    "tests/typing",
    "tests/testing",
    "tests/cli",
    "tests/interpreters/memory",
    "tests/interpreters/sqlite",
    "tests/interpreters/runtime",
    "property_tests",
    "src",
    "README.md",
)
PREFIX: Final = "Programming Language :: Python :: 3."


def main(asked: list[str]) -> int:
    """Try each version that the classifiers name, or those *asked* for; return the exit status."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [it.removeprefix(PREFIX) for it in project["classifiers"] if it.startswith(PREFIX)]
    results: dict[str, str] = {}
    for version in asked or [f"3.{minor}" for minor in named]:
        python = find(version)
        if python is None:
            results[version] = "not tried: neither on this machine nor to be fetched by uv"
            continue
        results[version] = "passed" if run(version, python) else "FAILED"
    for version, result in results.items():
        print(f"Python {version}: {result}")
    return 1 if "FAILED" in results.values() else 0


def find(version: str) -> str | None:
    """Return the path of an interpreter: of pyenv, of the system, or one that uv can fetch."""
    versions = (Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python")
    if (installed := next(iter(sorted(versions)), None)) is not None:
        return str(installed)
    found = _find(version)
    if found is None:
        command = [_uv(), "python", "install", "--quiet", version]
        subprocess.run(command, cwd="/", capture_output=True, check=False)
        found = _find(version)
    return found


def _find(version: str) -> str | None:
    # Not in the checkout, whose environment would be found.
    found = subprocess.run(
        [_uv(), "python", "find", version], cwd="/", capture_output=True, text=True, check=False
    )
    return found.stdout.strip() if found.returncode == 0 else None


def run(version: str, python: str) -> bool:
    """Make an environment, and run the tests in it; return whether they pass."""
    environment = FOLDER / version
    shutil.rmtree(environment, ignore_errors=True)
    pins = str(ROOT / "requirements" / "dev.txt")
    inside = str(environment / "bin" / "python")
    steps = [
        [_uv(), "venv", "--quiet", "--python", python, str(environment)],
        [_uv(), "pip", "install", "--quiet", "--python", inside, "--require-hashes", "-r", pins],
        [_uv(), "pip", "install", "--quiet", "--python", inside, "--no-deps", "-e", str(ROOT)],
        [inside, "-m", "pytest", "-q", "-m", "not deep", "-p", "no:cacheprovider", *PARTS],
    ]
    print(f"Python {version}: {python}", flush=True)
    return all(subprocess.run(step, cwd=ROOT, check=False).returncode == 0 for step in steps)


def _uv() -> str:
    return str(Path(sys.executable).parent / "uv")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
