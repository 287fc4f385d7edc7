"""Agent: `arvo agent show` prints a conversation, without its secrets."""

from pathlib import Path

import orjson
import pytest

from arvo import Runtime, System
from arvo.cli.app import run_command
from tests.agents.support import begin, make_system
from tests.interpreters.until import until
from tests.interpreters.within import within

system: System = make_system()
NAME = f"{__name__}:system"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a backend with a run that waits for the approval of a person."""
    url = f"sqlite:///{tmp_path}/arvo.db"

    async def go() -> None:
        runtime = Runtime(system, url)
        runtime.on_domain()(lambda event: None)
        async with runtime:
            await runtime.send(begin("Money back\nfor o-1", workflow_id="help-1"))

            async def is_asking() -> bool:
                record = await runtime.record("help-1")
                sent = {} if record is None else record.pending_requests
                return any(it.domain for it in sent.values())

            await until(is_asking)

    within(go())
    return url


def test_a_run_is_shown_with_its_calls_and_what_it_waits_for(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["agent", "show", NAME, "help-1", "--backend", url]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "arvo.orc.agent.support 1.0.0: active",
        "  2 steps, 250 + 22 tokens, 0.75 spent",
        r"  user       Money back\nfor o-1",
        "  assistant  Let me look.",
        '             calls find_order {"order_id":"o-1"}',
        '  tool       {"value":{"total":42.0,"order":3.0}}',
        "  assistant  I shall pay it back.",
        '             calls payment_refund {"order_id":"o-1","amount":42.0}',
        '  waits for  the approval of payment_refund {"order_id":"o-1","amount":42.0,"note":"-"}',
    ]


def test_the_same_as_json(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["agent", "show", NAME, "help-1", "--backend", url, "--json"]) == 0

    content = orjson.loads(capsys.readouterr().out)
    assert content["status"] == "active"
    assert content["spent"] == {"input_tokens": 250, "output_tokens": 22, "money": 0.75}
    assert [it["role"] for it in content["messages"]] == ["user", "assistant", "tool", "assistant"]
    [pending] = content["pending"]
    assert (pending["tool"], pending["stage"]) == ("payment_refund", "approval")


def test_another_workflow_is_refused_by_name(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["agent", "show", NAME, "help-2", "--backend", url]) == 2
    assert run_command(["agent", "show", "tests.shop:shop", "help-1", "--backend", url]) == 2

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "arvo: help-2: no workflow has this id or subject"
    assert lines[1] == "arvo: arvo.orc.agent.support: expected an agent of this system"
