"""Again: a recorded run with another model, up to the first difference."""

import asyncio
from datetime import datetime
from typing import Any, Final

import pytest
from attrs import evolve

from arvo import Record, System, run
from arvo.agents import Allow, Answer, Model, Prompt, ToolCall, Usage, by_tool
from arvo.core.violations.violation import Violated
from arvo.testing.agents import again, scripted
from tests.agents.support import DONE, LOOK, SCRIPT, begin, find_order, make_agent, payments

AGENT: Final = make_agent(policy=by_tool({}, otherwise=Allow()))


def record_run(steps_max: int = 100) -> Record:
    system = System([*AGENT.handlers, payments])
    model, event = AGENT.roles["1.0.0"].model, begin()
    stubs: dict[Any, Any] = {model: model, find_order: lambda order_id, key: {"total": 1.0}}
    now = datetime.fromisoformat(event.time)
    return run(system, event, effects=stubs, until=now, steps_max=steps_max).records[event.subject]


def compare(model: Model | None = None, system: str | None = None) -> Any:
    return asyncio.run(again(AGENT, record_run(), model=model, system=system))


def test_the_same_model_makes_no_difference() -> None:
    """Other text beside the calls, and other spaces in JSON, decide nothing."""
    other = evolve(LOOK, text="I look.", calls=(ToolCall("find_order", '{ "order_id": "o-1" }'),))

    assert compare().step is None
    assert compare(scripted([other, *SCRIPT[1:]])).step is None
    assert str(compare()) == "no difference; tokens 480 -> 480, money 0.875 -> 0.875"


def test_the_first_difference_ends_the_comparison() -> None:
    """What the tools would have answered behind it is not known."""
    compared = compare(scripted([LOOK, evolve(DONE, usage=Usage(money=0.5))]))

    assert compared.step == 1
    assert compared.recorded.calls[0].tool == "payment_refund"
    assert compared.answered.text == DONE.text
    assert (compared.recorded_usage.money, compared.usage.money) == (0.75, 0.75)


def test_another_final_answer_is_a_difference() -> None:
    """Customers read it."""
    assert compare(scripted([*SCRIPT[:2], '{"answer": "No"}'])).step == 2


def test_the_model_gets_the_recorded_prompts_with_the_other_instructions() -> None:
    """An async model, too, as those of providers are."""
    prompts: list[Prompt] = []

    async def model(prompt: Prompt) -> Answer:
        prompts.append(prompt)
        return SCRIPT[prompt.step]

    compared = compare(model, "Be brief.")

    assert compared.step is None
    assert {it.system for it in prompts} == {"Be brief."}
    assert [len(it.messages) for it in prompts] == [1, 3, 5]


def test_a_run_without_an_answer_cannot_be_compared() -> None:
    """There is nothing to compare with."""
    empty = evolve(record_run(), state=None)

    with pytest.raises(Violated, match="a run with an answer"):
        asyncio.run(again(AGENT, empty))
