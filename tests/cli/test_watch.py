"""Watch: an operator follows a workflow from a shell."""

import asyncio
from pathlib import Path

import orjson
import pytest

from arvo import Runtime
from arvo.cli import main
from tests.cli.test_app import error_of, output_of
from tests.interpreters.watching.counting import begin_count, system


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'arvo.db'}"


def run_counts(url: str, **signals: int) -> None:
    async def go() -> None:
        async with Runtime(system, url) as runtime:
            for id_, number in signals.items():
                await runtime.send(begin_count(number, id_))
                await runtime.drain(60)
                for each in range(number):
                    await runtime.signal(id_, {"number": each}, type="com.count.tick")
            await runtime.drain(60)

    asyncio.run(go())


def test_the_history_and_the_outcome_are_printed(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_counts(url, one=1)

    lines = output_of(capsys, "watch", "one", "--backend", url).splitlines()
    rest = output_of(capsys, "watch", "one", "--backend", url, "--after", "2").splitlines()

    assert [line.split("  ")[2] for line in lines[:-1]] == [
        "consumed",
        "consumed",
        "produced",
        "produced",
    ]
    assert lines[-1] == "done"
    assert rest == lines[3:]


def test_programs_read_json(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_counts(url, one=0)

    out = output_of(capsys, "watch", "one", "--backend", url, "--json").splitlines()

    assert [orjson.loads(line)["kind"] for line in out] == ["consumed", "produced", "ended"]
    assert orjson.loads(out[-1]) == {"kind": "ended", "status": "done", "error": None}


def test_the_exit_code_tells_a_failure(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A script waits for an order, and goes on only if it is done."""
    run_counts(url, thirteen=13)

    assert main(["watch", "thirteen", "--backend", url]) == 1
    assert main(["watch", "thirteen", "--backend", url, "--json"]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert "failed: ValueError: thirteen" in lines
    assert orjson.loads(lines[-1])["error"] == {"name": "ValueError", "message": "thirteen"}


def test_a_workflow_that_is_not_there_is_refused(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_counts(url, one=0)

    assert "there is no such workflow" in error_of(capsys, "watch", "two", "--backend", url)
