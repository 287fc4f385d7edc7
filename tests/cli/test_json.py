"""`--json`: each command that prints results has it, and then prints one JSON object a line."""

from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from arvo.cli import main
from arvo.cli.app import app
from tests.cli.commands_of import commands_of
from tests.cli.test_app import failing, incomplete, run_orders
from tests.cli.test_schedules import NAME as ZOO
from tests.cli.test_schedules import work
from tests.shop import order_request

# The commands without `--json`, and why.
EXCEPTIONS: Final = {
    "run": "runs until a signal; its log is JSON with --log-format json",
    "dev": "runs until a signal, for a person who writes code",
    "console": "serves pages until a signal",
    "mcp serve": "speaks a protocol that is JSON in any case",
    "new": "prints the next steps of a person",
    "export": "prints JSON in any case",
    "import": "prints Python",
    "completion": "prints a script of the shell",
}
COMMANDS: Final = dict(commands_of(app))
BATCH: Final = {"matched", "done", "gone", "refused", "more", "refusals"}
SENT: Final = {"id", "type", "subject"}
SUBJECT: Final = order_request("a").subject
SHOP: Final = "tests.shop:shop"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_that_prints_results_has_json(name: str) -> None:
    """A script reads one form of all of them, also of a command that is added later."""
    arguments = COMMANDS[name].assemble_argument_collection()
    has_json = any("--json" in argument.names for argument in arguments)

    assert has_json is (name not in EXCEPTIONS)


def test_each_exception_is_a_command() -> None:
    """One that is gone would hide a later command with its name."""
    assert EXCEPTIONS.keys() <= COMMANDS.keys()


def printed_by(capsys: pytest.CaptureFixture[str], *tokens: str) -> list[dict[str, Any]]:
    """Run a command with `--json` and return the objects that it has printed."""
    capsys.readouterr()
    assert main([*tokens, "--json"]) in (0, 1)
    return [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a backend with two failed workflows."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"
    run_orders(url, failing, "a", "b")
    return url


@pytest.mark.parametrize(
    ("tokens", "keys"),
    [
        (["workflows"], {"subject", "handler", "version", "status", "revision"}),
        (["versions"], {"handler", "version", "active", "failed"}),
        (["describe", SUBJECT], {"subject", "status", "requests", "timers", "failure"}),
        (["history", SUBJECT], {"kind", "event"}),
        (["watch", SUBJECT], {"kind"}),
        (["revive", SHOP, SUBJECT], {"subject", "handler", "version", "revision"}),
        (["revive", SHOP, "--all"], BATCH),
        (["cancel", SHOP, SUBJECT, "--reason", "late"], BATCH),
        (["cancel", SHOP, "--all", "--reason", "late"], BATCH),
        (["migrate", SHOP, "--all", "--to", "9.0.0"], BATCH),
        (["fork", SHOP, SUBJECT, "--at", "1", "--reason", "why"], {"subject"}),
        (["doctor", SHOP], {"ok", "checks"}),
    ],
)
def test_a_result_is_an_object_with_these_fields(
    url: str, capsys: pytest.CaptureFixture[str], tokens: list[str], keys: set[str]
) -> None:
    """The page of the command line has them; others may be added."""
    printed = printed_by(capsys, *tokens, "--backend", url)

    assert printed
    assert all(keys <= each.keys() for each in printed)


def test_acts_on_dead_letters_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of one as of many."""
    url = f"sqlite:///{tmp_path / 'dead.db'}"
    run_orders(url, incomplete, "a", "b", "c")
    one, other, _ = printed_by(capsys, "dead-letters", "--backend", url)

    [group] = printed_by(capsys, "dead-letters", "groups", "--backend", url)
    [deleted] = printed_by(capsys, "dead-letters", "delete", one["id"], "--backend", url)
    [sent] = printed_by(
        capsys,
        *("dead-letters", "redrive", other["id"], "--system", SHOP, "--backend", url),
    )
    [many] = printed_by(capsys, "dead-letters", "delete", "--all", "--backend", url)
    verbs = [each["verb"] for each in printed_by(capsys, "audit", "--backend", url)]

    assert group["number"] == 3
    assert deleted == sent == many
    assert many.keys() == BATCH
    assert (many["matched"], many["done"], many["refusals"]) == (1, 1, [])
    assert len(verbs) == 3


def test_refusals_are_named(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A script can act on those that are left."""
    tokens = ("migrate", "tests.cli.test_app:waiting", "--all", "--to", "9.0.0")
    printed_by(capsys, "revive", "tests.cli.test_app:waiting", "--all", "--backend", url)

    [result] = printed_by(capsys, *tokens, "--backend", url)

    assert result["refused"] == len(result["refusals"]) == 2
    assert result["refusals"][0].keys() == {"id", "reason"}


def test_events_that_are_sent_are_objects(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their ids find them in a log."""
    event = order_request("c")
    (tmp_path / "event.json").write_text(event.to_json())

    [sent] = printed_by(capsys, "send", SHOP, str(tmp_path / "event.json"), "--backend", url)

    assert sent == {"id": event.id, "type": event.type, "subject": event.subject}


def test_signals_to_a_schedule_are_objects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As events that are sent."""
    url = f"sqlite:///{tmp_path / 'zoo.db'}"
    work(url)

    for verb in ("pause", "resume", "trigger", "delete"):
        [sent] = printed_by(capsys, "schedules", verb, ZOO, "zoo.feed", "--backend", url)
        assert sent.keys() == SENT


def test_the_sql_of_the_tables_is_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    """A script need not tell it from a message."""
    [script] = printed_by(capsys, "upgrade", "--sql", "--backend", "postgresql://nowhere/db")

    assert script["sql"].startswith("create schema")
