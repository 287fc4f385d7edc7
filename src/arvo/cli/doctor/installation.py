"""Installation: which Python, which distribution of the package, and which extras there are."""

import platform
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

import orjson

import arvo
from arvo.cli.doctor.finding import Finding
from arvo.extras import DISTRIBUTION, EXTRAS, install_command, is_installed

# Another project on the index has this name; both would write into one folder.
FOREIGN: Final = "arvo"


def check_installation() -> Iterator[Finding]:
    """Yield the findings about Python, the package and its extras."""
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    yield check_distribution(find_distribution(DISTRIBUTION), find_distribution(FOREIGN))
    yield _check_extras()


def find_distribution(name: str) -> Distribution | None:
    """Return the installed distribution *name*, or None."""
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def check_distribution(ours: Distribution | None, foreign: Distribution | None) -> Finding:
    """Compare the package that is imported with the distributions that are installed."""
    name, imported = "distribution", Path(arvo.__file__).resolve()
    if foreign is not None:
        found = f"{FOREIGN} {foreign.version}, of another project, has a package arvo as well"
        remedy = f"pip uninstall {FOREIGN} {DISTRIBUTION}, then pip install {DISTRIBUTION}"
        return Finding(name, "failure", found, remedy)
    if ours is None:
        found = f"arvo is imported from {imported.parent}, and {DISTRIBUTION} is not installed"
        return Finding(name, "warning", found, f"pip install {DISTRIBUTION}")
    if _is_editable(ours) or Path(str(ours.locate_file("arvo/__init__.py"))).resolve() == imported:
        return Finding(name, "ok", f"{DISTRIBUTION} {ours.version} in {imported.parent}")
    found = f"arvo is imported from {imported.parent}, and {DISTRIBUTION} is installed elsewhere"
    return Finding(name, "warning", found, "remove the other folder from PYTHONPATH")


def _is_editable(ours: Distribution) -> bool:
    content = orjson.loads(ours.read_text("direct_url.json") or "{}")
    return bool(content.get("dir_info", {}).get("editable"))


def _check_extras() -> Finding:
    missing = {extra for module, extra in EXTRAS.items() if not _has(module)}
    installed = ", ".join(sorted(set(EXTRAS.values()) - missing)) or "none"
    if not missing:
        return Finding("extras", "ok", f"all installed: {installed}")
    names = ",".join(sorted(missing))
    found = f"installed: {installed}; missing: {names.replace(',', ', ')}"
    return Finding("extras", "ok", found, f"where one is needed, {install_command(names)}")


def _has(module: str) -> bool:
    try:
        return is_installed(module)
    except ModuleNotFoundError:  # to look for a module imports the packages above it
        return False
