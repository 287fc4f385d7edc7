"""Signal: the command that signals a workflow, and prints its answer."""

import asyncio
from pathlib import Path

import orjson
import pytest

from arvo import Runtime, System
from arvo.cli.app import run_command
from tests.interpreters.runtime.test_asks import Approved, as_resumable, begin, checking

system = System([as_resumable, checking])


def test_a_workflow_is_signalled_from_a_shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, begun = f"sqlite:///{tmp_path}/arvo.db", begin()
    command = [
        *("signal", "tests.cli.test_signal:system", begun.subject),
        *("--type", "com.blog.approve", "--id", "a-1", "--backend", url, "--data"),
    ]

    async def work() -> None:
        async with Runtime(system, url) as runtime:
            await runtime.send(begun)
            await runtime.drain(60)

    asyncio.run(work())
    codes = [run_command([*command, '{"by": "ann"}']) for _ in range(2)]
    asyncio.run(work())
    code = run_command([*command, '{"by": "ann"}', "--wait", "60"])

    *lines, answer = capsys.readouterr().out.splitlines()
    assert [*codes, code] == [0, 0, 0]
    assert lines == [f"a-1  com.blog.approve  {begun.subject}"] * 2
    # It counts once, and each who asks gets the same answer.
    assert orjson.loads(answer)["data"] == {"count": Approved(1).count}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("[1]", "--data: expected a JSON object, got [1]"),
        ("{", "--data: "),
        ('{"by": 1}', "data.by: expected a string, got 1"),
    ],
)
def test_an_invalid_payload_is_one_line(
    data: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/arvo.db"

    async def make() -> None:
        async with Runtime(system, url):
            pass

    asyncio.run(make())
    code = run_command(
        [
            *("signal", "tests.cli.test_signal:system", begin().subject),
            *("--type", "com.blog.approve", "--data", data, "--backend", url),
        ]
    )

    assert code == 2
    assert message in capsys.readouterr().err
