"""Schedules: the commands that list and signal schedules."""

import asyncio
from pathlib import Path

import pytest
from attrs import frozen

from arvo import (
    Commands,
    Complete,
    Every,
    OrchestratorContract,
    Resumable,
    Runtime,
    System,
    Turn,
    Workflow,
    every,
)
from arvo.cli.app import run_command


@frozen
class Feed:
    """Begin to feed."""

    animal: str


@frozen
class Fed:
    """The animal is fed."""

    animal: str


feed = OrchestratorContract(
    uri="#/orchestrators/feed",
    name="zoo.feed",
    versions={"1.0.0": Workflow(init=Feed, complete=Fed)},
)


def take(turn: Turn[None]) -> Commands:
    """Feed at once."""
    match turn.event.data:
        case Feed(animal=animal):
            return Complete(Fed(animal))
        case _:
            return None


feeding = Resumable(feed, {"1.0.0": take})
# Due next in the year 2030, so never in a test.
schedule = every(feed["1.0.0"], Every(weeks=3_131), Feed("owl"))
system = System([schedule, feeding])
NAME = "tests.cli.test_schedules:system"


def work(url: str) -> None:
    """Process the events that are under way."""

    async def go() -> None:
        async with Runtime(system, url) as runtime:
            await runtime.drain(60)

    asyncio.run(go())


def test_a_schedule_is_operated_from_a_shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command is a signal, and the list shows what became of it."""
    url = f"sqlite:///{tmp_path}/zoo.db"
    listing = ["schedules", "list", NAME, "--backend", url]

    def command(verb: str, *arguments: str) -> list[str]:
        return ["schedules", verb, NAME, "zoo.feed", *arguments, "--backend", url]

    work(url)
    codes = [run_command(listing)]
    for each in (
        command("trigger"),
        command("backfill", "1969-12-31", "1970-01-02T00:00:00Z"),
        command("pause", "--reason", "moved"),
    ):
        codes.append(run_command(each))
        work(url)
    codes.append(run_command(listing))
    for verb in ("resume", "delete"):
        codes.append(run_command(command(verb)))
        work(url)
    codes += [run_command(listing), run_command([*listing, "--json"])]

    first, *sent, paused, _, _, deleted, json = capsys.readouterr().out.splitlines()
    assert codes == [0] * 9
    assert [line.split()[1] for line in sent] == [
        *("arvo.schedule.trigger", "arvo.schedule.backfill", "arvo.schedule.pause")
    ]
    assert "zoo.feed" in first
    assert "active  next 2030-01-03T00:00:00+00:00  begun 0, completed 0" in first
    assert "active  paused (moved)  begun 2, completed 2, failed 0  skipped 0" in paused
    assert "done  " in deleted
    assert '"handler":"arvo.orc.schedule.zoo.feed"' in json


def test_a_range_that_is_empty_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator has mixed up start and end."""
    url = f"sqlite:///{tmp_path}/zoo.db"
    work(url)

    code = run_command(
        ["schedules", "backfill", NAME, "zoo.feed", "2026-01-02", "2026-01-01", "--backend", url]
    )

    assert code == 2
    assert "end: expected later than the start, 2026-01-02" in capsys.readouterr().err
