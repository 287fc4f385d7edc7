"""Watch: an operator follows a workflow from a shell."""

import asyncio
from pathlib import Path

import orjson
import pytest
from attrs import evolve

from arvo import Client, Runtime, System, report
from arvo.cli import main
from arvo.cli.commands.events import send
from arvo.cli.commands.watch import watch
from arvo.cli.terminal import output
from tests.cli.test_app import error_of, output_of
from tests.interpreters.watching.counting import begin_count, system
from tests.interpreters.watching.reporting import Begin, reporting

SYSTEM = "tests.interpreters.watching.counting:system"


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


def test_what_effects_report_is_printed(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside a worker, in text and in JSON."""

    async def go() -> list[int]:
        released = asyncio.Event()

        async def count() -> int:
            while not released.is_set():
                report({"percent": 50})
                await asyncio.sleep(0.01)
            return 1

        flow = reporting(count)
        event = flow["1.0.0"].init(Begin("one"), source="com.a.b", workflow_id="report-1")
        async with Runtime(System([flow]), url) as runtime:
            await runtime.send(event)
            watching = [
                asyncio.create_task(watch(event.subject, backend=url, output=form))
                for form in (output.TEXT, evolve(output.TEXT, json=True))
            ]
            seen = ""
            while not ("report  test_what" in seen and '"kind":"report"' in seen):
                await asyncio.wait(watching, timeout=0.02)
                assert not any(each.done() for each in watching)
                seen += capsys.readouterr().out
            released.set()
            return [await each for each in watching]

    assert asyncio.run(go()) == [0, 0]


def test_a_backend_without_reports_is_named(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise an operator would wait for them."""
    run_counts(url, one=0)
    monkeypatch.setattr(Client, "carries_reports", False)

    assert main(["watch", "one", "--backend", url]) == 0
    assert main(["watch", "one", "--backend", url, "--json"]) == 0
    assert capsys.readouterr().err.count("carries no reports of effects") == 2


def test_send_waits_for_the_outcome(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A script begins an import, and goes on when it is done."""

    async def go(signals: int, wait: float) -> int:
        events = orjson.dumps(begin_count(signals, f"count-{signals}").to_dict())
        path = Path(url.removeprefix("sqlite:///")).parent / "events.json"
        path.write_bytes(events)
        async with Runtime(system, url):
            return await send(SYSTEM, str(path), backend=url, wait=wait)

    assert asyncio.run(go(0, 60)) == 0
    sent, ended = capsys.readouterr().out.splitlines()
    assert (sent.split("  ")[1], ended.split("  ")[0]) == ("arvo.orc.count.ticks", "done")
    with pytest.raises(TimeoutError, match="0 of 1 workflows have ended within"):
        asyncio.run(go(1, 0.05))


def test_send_tells_a_failure(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_counts(url, thirteen=13)
    path = Path(url.removeprefix("sqlite:///")).parent / "events.json"
    path.write_bytes(orjson.dumps(begin_count(13, "thirteen").to_dict()))

    code = main(["send", SYSTEM, str(path), "--backend", url, "--wait", "60"])

    assert code == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("failed  ")


def test_long_commands_show_their_progress_on_a_terminal(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator who cancels thousands sees that it goes on; a file gets the result alone."""
    run_counts(url, thirteen=13)
    command = ["revive", SYSTEM, "--all", "--after-compensation", "--backend", url]

    assert main([*command, "--dry-run"]) == 0
    quiet = capsys.readouterr()
    monkeypatch.setattr(output, "STATUS_SECONDS", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main([*command, "--dry-run"]) == 0
    shown = capsys.readouterr()

    assert (quiet.out, quiet.err) == ("done: 1 of 1, gone: 0, refused: 0\n", "")
    assert shown.out == quiet.out
    assert "done: 1 of 1, gone: 0, refused: 0" in shown.err
    assert shown.err.endswith("\r\x1b[2K")
