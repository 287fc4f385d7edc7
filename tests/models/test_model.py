"""Model: the wire formats of providers, by their own clients against a server on loopback."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from arvo import Runtime, System, query
from arvo.agents import Allow, Budget, Conversation, Message, Prompt, ToolCall, Usage, by_tool
from arvo.core.violations.violation import Violated
from arvo.models import Delta, model
from arvo.models.messages import to_messages
from tests.agents.support import Replied, begin, make_agent, make_system
from tests.models.providers import Provider, serve

ORDER: Final = {"order_id": "o-1"}
# Two calls of one id each, a final answer that does not fit, one beside a call, and a good one.
SCRIPT: Final = (
    [("c1", "find_order", ORDER), ("c2", "find_order", {"order_id": "o-2"})],
    [("c1", "final_result", {"nonsense": 1})],
    [("c3", "find_order", ORDER), ("c4", "final_result", {"answer": "too early"})],
    [("c5", "final_result", {"answer": "42"})],
)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serve(SCRIPT) as running:
        yield running


def openai(provider: Provider) -> Model:
    client = AsyncOpenAI(base_url=f"{provider.url}/v1", api_key="k", max_retries=0)
    return OpenAIChatModel("gpt-4o", provider=OpenAIProvider(openai_client=client))


def anthropic(provider: Provider) -> Model:
    client = AsyncAnthropic(base_url=provider.url, api_key="k", max_retries=0)
    named = AnthropicProvider(anthropic_client=client)
    return AnthropicModel("claude-haiku-4-5", provider=named)


@pytest.mark.parametrize("make", [openai, anthropic])
def test_each_call_has_its_answer_in_the_form_of_the_provider(
    make: Callable[[Provider], Model], provider: Provider
) -> None:
    """A provider refuses a prompt with a call that has no result, corrections included."""

    async def go() -> tuple[Any, Conversation]:
        helper = make_system(
            model(make(provider)), policy=by_tool({}, otherwise=Allow()), budget=Budget(steps=9)
        )
        async with Runtime(helper) as runtime:
            event = begin()
            answer = await runtime.request(event, timeout=60)
            record = await runtime.record(event.subject)
            assert record is not None
            state = query(helper, record)
            assert isinstance(state, Conversation)
            return answer, state

    answer, state = asyncio.run(go())

    assert answer.data == Replied("42")
    assert provider.problems == []
    assert len(provider.bodies) == len(SCRIPT)
    assert (state.spent.input_tokens, state.spent.output_tokens) == (400, 40)
    assert 0 < state.spent.money < 0.01
    assert answer.executionunits == state.spent.money


def test_deltas_go_to_a_listener_as_the_model_writes() -> None:
    """A person reads along; the answer is the same as without."""
    deltas: list[Delta] = []
    script = [[("c1", "final_result", {"answer": "one two three"})]]

    async def go(provider: Provider) -> Any:
        agent = make_agent(model(openai(provider), on_delta=deltas.append), tools=[], policy=None)
        async with Runtime(System([agent])) as runtime:
            event = begin()
            return event, await runtime.request(event, timeout=60)

    with serve(script) as provider:
        event, answer = asyncio.run(go(provider))

    assert [it.text for it in deltas] == ["one ", "two ", "three "]
    assert {(it.run, it.step) for it in deltas} == {(event.subject, 0)}
    assert answer.data == Replied("one two three ")


def test_a_repeated_id_of_a_provider_is_replaced() -> None:
    """Some number their calls from 0 in each answer."""
    calls = [ToolCall("find_order", "{}", f"call_{step}_0") for step in range(2)]
    opaque = (
        '[{"kind":"response","parts":[{"part_kind":"tool-call","tool_name":"find_order",'
        '"args":"{}","tool_call_id":"same"},{"part_kind":"thinking","content":"hm"}]}]'
    )
    messages = [Message("user", "q")]
    for call in calls:
        messages.append(Message("assistant", "", (call,), usage=Usage(), opaque=opaque))
        messages.append(Message("tool", "1", answers=call.id))
    prompt = Prompt(run="r", step=2, system="s", messages=tuple(messages), tools=(), output={})

    made = to_messages(prompt)

    ids = [getattr(part, "tool_call_id", None) for it in made for part in it.parts]
    assert [it for it in ids if it] == ["same", "same", "call_1_0", "call_1_0"]


def test_an_unknown_price_is_refused_before_the_first_call() -> None:
    """A budget of money would never end, or the first paid call would be for nothing."""
    with pytest.raises(Violated, match="price="):
        model("ollama:a-model-of-our-own")

    assert model("ollama:a-model-of-our-own", price=lambda usage: 0.0) is not None


def test_a_model_needs_no_key_before_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests, and a process that runs other handlers, import the module of the agent."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)

    assert "claude-haiku-4-5" in model("anthropic:claude-haiku-4-5").__qualname__


def test_the_rest_of_a_budget_limits_the_answer(provider: Provider) -> None:
    """A limit above the model's own would be refused, so only a small rest is sent."""
    prompt = Prompt(
        run="r",
        step=0,
        system="s",
        messages=(Message("user", "q"),),
        tools=(),
        output={"type": "object", "properties": {}},
        tokens_max=77,
    )

    asyncio.run(_ask(provider, prompt))

    assert provider.bodies[0]["max_completion_tokens"] == 77


async def _ask(provider: Provider, prompt: Prompt) -> None:
    await model(openai(provider))(prompt)
