"""Release: builds what is uploaded, in a fresh folder, and checks it (`make release-check`)."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent
# Links to files of the repository, which lead nowhere on the page of an index.
_RELATIVE: Final = re.compile(r"\]\((?!https?:|#)([^)]+)\)")
# What a packager needs beside the package itself.
IN_SDIST: Final = ("CHANGELOG.md", "Makefile", "docs/index.md", "tests/shop.py", "conftest.py")


def main(output: Path) -> int:
    """Build twice, check, and leave the result in *output*; return the exit status."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with TemporaryDirectory() as folder:
        first, second = (build(Path(folder) / name, project) for name in ("first", "second"))
        faults = [*compare(first, second), *check_wheel(first), *check_sdist(first)]
        faults += check_description(first)
        shutil.copytree(first, output, dirs_exist_ok=True)
    for fault in faults:
        print(f"release-check: {fault}", file=sys.stderr)
    for path in sorted(output.iterdir()):
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")
    if ".example" in str(project["urls"]):
        print("not ready to upload: [project.urls] in pyproject.toml names no real address yet")
    return 1 if faults else 0


def build(folder: Path, project: dict[str, Any]) -> Path:
    """Build both distributions from the tracked files, with the links of README made absolute."""
    source, built = folder / "source", folder / "dist"
    for name in _run("git", "ls-files", "-z").split("\0"):
        if name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    readme = source / "README.md"
    address = f"{project['urls']['Source']}/v{project['version']}"
    text = _RELATIVE.sub(rf"]({address}/\1)", readme.read_text(encoding="utf-8"))
    readme.write_text(text, encoding="utf-8")
    # The time of the commit, so that anyone can build the same bytes again.
    os.environ["SOURCE_DATE_EPOCH"] = _run("git", "log", "-1", "--format=%ct").strip()
    arguments = ("--no-build-isolation", "--quiet", "--python", sys.executable)
    _run(_tool("uv"), "build", *arguments, "--out-dir", str(built), str(source))
    (built / ".gitignore").unlink(missing_ok=True)
    return built


def compare(first: Path, second: Path) -> Iterator[str]:
    """Yield each file whose two builds differ."""
    for path in sorted(first.iterdir()):
        if path.read_bytes() != (second / path.name).read_bytes():
            yield f"{path.name}: two builds differ, so nobody can check where it comes from"


def check_wheel(built: Path) -> Iterator[str]:
    """Yield what the wheel lacks, and what does not belong into it."""
    [path] = built.glob("*.whl")
    names = set(zipfile.ZipFile(path).namelist())
    tracked = {
        name.removeprefix("src/")
        for name in _run("git", "ls-files", "-z", "src").split("\0")
        if name
    }
    yield from (f"{path.name} lacks {name}" for name in sorted(tracked - names))
    for name in sorted(names - tracked):
        if ".dist-info/" not in name and not name.endswith("/"):
            yield f"{path.name} has {name}, which is not in the repository"
    if not any(name.endswith("/licenses/LICENSE") for name in names):
        yield f"{path.name} lacks the licence"


def check_sdist(built: Path) -> Iterator[str]:
    """Yield what the source distribution lacks."""
    [path] = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    yield from (f"{path.name} lacks {name}" for name in IN_SDIST if name not in names)
    yield from (f"{path.name} has {name}" for name in sorted(names) if "__pycache__" in name)


def check_description(built: Path) -> Iterator[str]:
    """Yield what an index would refuse, or show wrongly."""
    paths = [str(path) for path in sorted(built.iterdir())]
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *paths],
        capture_output=True,
        text=True,
        check=False,
    )
    if checked.returncode:
        yield checked.stdout + checked.stderr
    [path] = built.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        [name] = [each for each in wheel.namelist() if each.endswith(".dist-info/METADATA")]
        metadata = wheel.read(name).decode()
    yield from (f"README has the relative link {link}" for link in _RELATIVE.findall(metadata))


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _run(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "dist")))
