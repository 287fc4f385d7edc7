"""Release: what is uploaded is whole, says where it comes from, and can be built again."""

import tomllib
import zipfile
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def release() -> ModuleType:
    spec = util.spec_from_file_location("release", ROOT / "requirements" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def built(release: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    assert release.main(folder) == 0
    return folder


def test_the_checks_of_a_release_pass(built: Path) -> None:
    """Built twice with equal bytes, described as an index takes it, nothing lacking or foreign."""
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        [name] = [it for it in archive.namelist() if it.endswith("/METADATA")]
        metadata = archive.read(name).decode()

    assert "\nName: arvo-events\n" in metadata
    assert "\nAuthor: Arvo for Python maintainers\n" in metadata
    assert "\nProvides-Extra: all\n" in metadata


def test_what_a_wheel_lacks_or_has_too_much_is_named(
    release: ModuleType, built: Path, tmp_path: Path
) -> None:
    """A migration that is not in the wheel would be missed by the first user."""
    [wheel] = built.glob("*.whl")
    lost = "arvo/py.typed"
    with (
        zipfile.ZipFile(wheel) as archive,
        zipfile.ZipFile(tmp_path / wheel.name, "w") as other,
    ):
        for name in archive.namelist():
            if name != lost and not name.endswith("/"):
                other.writestr(name, archive.read(name))
        other.writestr("arvo/notes.txt", "a file of one machine")

    assert list(release.check_wheel(tmp_path)) == [
        f"{wheel.name} lacks {lost}",
        f"{wheel.name} has arvo/notes.txt, which is not in the repository",
    ]


def test_two_builds_that_differ_are_named(release: ModuleType, tmp_path: Path) -> None:
    """Nobody could check that the upload was built from this source."""
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "arvo.whl").write_text(folder)

    [fault] = release.compare(tmp_path / "first", tmp_path / "second")

    assert fault.startswith("arvo.whl: two builds differ")


def test_the_extra_all_has_every_extra() -> None:
    """`pip install 'arvo-events[all]'` must not leave one out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    [everything] = extras.pop("all")

    assert everything == f"arvo-events[{','.join(sorted(extras))}]"
