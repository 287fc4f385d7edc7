"""Span: a dashboard for models shows the calls of an agent, and no text of them."""

from collections.abc import Iterator

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

from arvo.agents import Allow, Budget, by_tool
from arvo.models import model, span
from tests.agents.support import begin, make_system
from tests.models.providers import Provider, serve
from tests.models.test_model import SCRIPT, anthropic
from tests.telemetry.recorded import Sdk

NAMES = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serve(SCRIPT) as running:
        yield running


def test_each_call_of_a_model_is_described(provider: Provider) -> None:
    sdk = Sdk()
    allow = by_tool({}, otherwise=Allow())

    helper = make_system(model(anthropic(provider)), policy=allow, budget=Budget(steps=9))
    event = begin("a question that no span shows")
    sdk.run(helper, lambda runtime: runtime.request(event, timeout=60))
    calls = [it.attributes for it in sdk.spans if span.OPERATION in (it.attributes or {})]

    assert len(calls) == len(SCRIPT)
    for attributes in calls:
        assert attributes is not None
        assert attributes[span.OPERATION] == "chat"
        assert attributes[span.PROVIDER] == "anthropic"
        assert attributes[span.REQUEST_MODEL] == "claude-haiku-4-5"
        assert attributes[span.CONVERSATION] == event.subject
        assert attributes[span.SPAN_KIND] == "LLM"
        tokens = attributes[span.INPUT_TOKENS], attributes[span.OUTPUT_TOKENS]
        assert (
            attributes[span.LLM_PROMPT_TOKENS],
            attributes[span.LLM_COMPLETION_TOKENS],
        ) == tokens
        assert sum(tokens) == attributes[span.LLM_TOTAL_TOKENS]  # type: ignore[arg-type]
        assert attributes[span.LLM_COST]
    texts = [str(value) for it in sdk.spans for value in (it.attributes or {}).values()]
    assert not [text for text in texts if "a question that no span shows" in text]


def test_an_attribute_of_the_conventions_has_its_name() -> None:
    ours = {it for it in vars(span).values() if isinstance(it, str) and it.startswith("gen_ai.")}

    assert ours <= NAMES
