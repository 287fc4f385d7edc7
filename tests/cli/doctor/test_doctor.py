"""`arvo doctor`: its findings, its advice, and that it changes nothing."""

import asyncio
import sqlite3
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import orjson
import pytest

from arvo import Runtime, System
from arvo.cli import main
from arvo.cli.doctor.backend import check_file_system, check_skew, check_versions
from arvo.cli.doctor.installation import check_distribution, find_distribution
from arvo.extras import DISTRIBUTION
from arvo.interpreters.ports.results import VersionUse
from tests.interpreters.postgres.schemas import execute, schema_url
from tests.shop import order_request, payments, shipping, shop

without_orders = System([payments, shipping])


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a backend with a workflow that is open."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"

    async def send() -> None:
        async with Runtime(shop, url, prefetch=1) as runtime:
            await runtime.send(order_request("a"))
            await runtime.drain(timeout=60)

    asyncio.run(send())
    return url


def findings_of(
    capsys: pytest.CaptureFixture[str], system: str, *tokens: str
) -> tuple[int, dict[str, Any]]:
    """Run the command; return its exit code, and its checks by name."""
    capsys.readouterr()
    code = main(["doctor", system, "--json", *tokens])
    printed = orjson.loads(capsys.readouterr().out)
    assert printed["ok"] is (code == 0)
    return code, {check["name"]: check for check in printed["checks"]}


def test_a_sound_system_passes(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A deployment runs it before its workers; exit code 0 lets it go on."""
    code, found = findings_of(capsys, "tests.shop:shop", "--backend", url)

    assert code == 0
    assert set(found) == {
        *("python", "distribution", "extras", "system", "schema", "file system"),
        *("backend", "versions"),
    }
    assert {found[name]["state"] for name in ("system", "schema", "backend", "versions")} == {"ok"}


def test_each_check_is_printed_with_its_remedy(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person reads a line for each check, and the remedy below those that are not sound."""
    code = main(["doctor", "tests.shop:shop", "--backend", f"{url}?full_sync=no"])

    printed = capsys.readouterr().out
    assert code == 0
    assert "ok       versions: the system has the version of each open workflow\n" in printed
    assert "warning  durability: full_sync=no" in printed
    assert "\n         remedy: leave full_sync out of the URL\n" in printed


def test_a_file_that_is_not_there_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelled path would look like an empty backend."""
    file = tmp_path / "none.db"

    code, found = findings_of(capsys, "tests.shop:shop", "--backend", f"sqlite:///{file}")

    assert (code, found["backend"]["state"], file.exists()) == (1, "failure", False)


def test_an_older_file_is_not_migrated(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Workers of the release before may still run."""
    with sqlite3.connect(tmp_path / "arvo.db") as connection:
        connection.execute("pragma user_version = 3")
    before = (tmp_path / "arvo.db").read_bytes()

    code, found = findings_of(capsys, "tests.shop:shop", "--backend", url)

    assert (code, found["schema"]["state"]) == (0, "warning")
    assert found["schema"]["found"].startswith("version 3, expected ")
    assert (tmp_path / "arvo.db").read_bytes() == before


def test_a_damaged_file_is_a_failure(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is reported as a check, not as the end of the command."""
    (tmp_path / "arvo.db").write_bytes(b"no database")

    code, found = findings_of(capsys, "tests.shop:shop", "--backend", url)

    assert code == 1
    assert "no SQLite database" in found["backend"]["found"]


def test_a_version_in_flight_that_the_system_lacks_is_a_failure() -> None:
    """Its workflows would stand still; a failed one needs the version only when it is revived."""
    [name] = {shop.handlers[-1].source}
    present = VersionUse(name, "1.0.0", active=2, failed=1)
    lost = VersionUse(name, "0.9.0", active=3, failed=0)
    failed = VersionUse(name, "0.9.0", active=0, failed=4)
    ended = VersionUse(name, "0.8.0", active=0, failed=0)

    assert check_versions(shop, [present, ended]).state == "ok"
    assert check_versions(shop, [present, failed]).state == "warning"
    found = check_versions(shop, [present, lost])
    assert (found.state, f"{name}@0.9.0  active: 3" in found.found) == ("failure", True)
    assert "1.0.0" not in found.found


def test_a_workflow_without_its_handler_fails_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next release must not leave its handler out."""
    url = f"sqlite:///{tmp_path / 'open.db'}"

    async def begin() -> None:
        async with Runtime(shop, url) as runtime:
            await runtime.send(order_request("a"))
            await runtime.drain(timeout=60)

    asyncio.run(begin())
    with sqlite3.connect(tmp_path / "open.db") as connection:
        connection.execute("update workflow set status = 'active'")

    code, found = findings_of(capsys, f"{__name__}:without_orders", "--backend", url)

    assert (code, found["versions"]["state"]) == (1, "failure")
    assert "active: 1" in found["versions"]["found"]


def test_a_system_that_does_not_load_is_a_failure(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The installation is checked nevertheless: it may be the cause."""
    code, found = findings_of(capsys, "tests.shop:nothing", "--backend", url)

    assert (code, found["system"]["state"], found["python"]["state"]) == (1, "failure", "ok")
    assert "backend" not in found


def test_the_findings_of_the_system_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """And without a backend it says that none was checked."""
    code, found = findings_of(capsys, "tests.cli.test_app:incomplete")

    assert (code, found["system"]["state"], found["backend"]["state"]) == (0, "warning", "warning")


def test_no_arguments_are_a_fault_of_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, so that a script tells it from a failed check."""
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_tables_of_postgres_are_read_and_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The right to create them may be another user's."""
    url = schema_url(tmp_path)

    may, missing = findings_of(capsys, "tests.shop:shop", "--backend", url)
    may_not, refused = findings_of(capsys, "tests.shop:shop", "--backend", f"{url}&migrate=no")
    assert main(["upgrade", "--backend", url]) == 0
    made = findings_of(capsys, "tests.shop:shop", "--backend", f"{url}&migrate=no")

    assert (may, missing["schema"]["state"], "versions" in missing) == (0, "warning", False)
    assert (may_not, refused["schema"]["remedy"]) == (1, "run arvo upgrade")
    assert (made[0], made[1]["schema"]["state"], made[1]["clock"]["state"]) == (0, "ok", "ok")
    assert made[1]["versions"]["state"] == "ok"


def test_settings_of_postgres_that_risk_loss_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A commit that is not on the disk is lost with the server."""
    url = f"{schema_url(tmp_path)}&synchronous_commit=off"

    _, found = findings_of(capsys, "tests.shop:shop", "--backend", url)

    assert found["durability"]["state"] == "warning"
    assert "synchronous_commit" in found["durability"]["found"]


def test_a_schema_of_a_later_release_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """This release cannot read it."""
    url = schema_url(tmp_path)
    assert main(["upgrade", "--backend", url]) == 0
    asyncio.run(execute(url, "insert into arvo.version (number) values (999)"))

    code, found = findings_of(capsys, "tests.shop:shop", "--backend", url)

    assert (code, "later arvo" in found["backend"]["found"]) == (1, True)


def test_a_server_that_does_not_answer_is_a_failure_without_its_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its output goes into a ticket."""
    url = "postgresql://ann:secret@127.0.0.1:1/shop"

    code, found = findings_of(capsys, "tests.shop:shop", "--backend", url)

    assert (code, found["backend"]["state"]) == (1, "failure")
    assert "secret" not in str(found)


def test_a_clock_that_is_off_by_more_than_a_second_is_a_warning() -> None:
    """Leases and timers compare times of several machines."""
    assert [check_skew(each).state for each in (0.0, 1.0, -1.0)] == ["ok"] * 3
    assert [check_skew(each).state for each in (1.1, -1.1)] == ["warning"] * 2
    assert "-2.0 s" in check_skew(-2.0).found


def test_a_file_on_a_network_file_system_is_a_failure() -> None:
    """SQLite's locks do not work there."""
    assert check_file_system("/data/a.db", "nfs4").state == "failure"
    assert check_file_system("/data/a.db", "ext4").state == "ok"
    assert check_file_system("/data/a.db", "").state == "ok"


def installed(folder: Path, name: str) -> Distribution:
    """Return a distribution with a package `arvo` in a folder."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    return Distribution.at(info)


def test_the_package_of_another_project_is_a_failure(tmp_path: Path) -> None:
    """Both install into one folder, and files of the one replace those of the other."""
    ours, foreign = installed(tmp_path, DISTRIBUTION), installed(tmp_path, "arvo")

    assert check_distribution(ours, foreign).state == "failure"
    assert "pip uninstall arvo" in check_distribution(ours, foreign).remedy


def test_a_package_that_is_not_the_installed_one_is_a_warning(tmp_path: Path) -> None:
    """A folder of the path, such as an old checkout, goes before it."""
    assert check_distribution(installed(tmp_path, DISTRIBUTION), None).state == "warning"
    assert check_distribution(None, None).remedy == f"pip install {DISTRIBUTION}"
    assert find_distribution("arvo-no-such-distribution") is None
