"""Span: a call of a model in the attributes of OpenTelemetry (`gen_ai`) and of OpenInference.

They go to the span of the effect in which the call runs, without the texts of prompt and answer.
"""

from typing import Final

from opentelemetry.trace import get_current_span
from opentelemetry.util.types import AttributeValue
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model

from arvo.agents.conversation import Answer, Prompt

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CONVERSATION: Final = "gen_ai.conversation.id"
# OpenInference has names of its own for the same.
SPAN_KIND: Final = "openinference.span.kind"
LLM_SYSTEM: Final = "llm.system"
LLM_PROVIDER: Final = "llm.provider"
LLM_MODEL: Final = "llm.model_name"
LLM_PROMPT_TOKENS: Final = "llm.token_count.prompt"
LLM_COMPLETION_TOKENS: Final = "llm.token_count.completion"
LLM_TOTAL_TOKENS: Final = "llm.token_count.total"
LLM_COST: Final = "llm.cost.total"


def describe_request(client: Model, prompt: Prompt) -> None:
    """Describe a call that begins: also one that fails has its model."""
    _set(
        {
            OPERATION: "chat",
            PROVIDER: client.system,
            REQUEST_MODEL: client.model_name,
            CONVERSATION: prompt.run,
            SPAN_KIND: "LLM",
            LLM_SYSTEM: client.system,
            LLM_PROVIDER: client.system,
            LLM_MODEL: client.model_name,
        }
    )


def describe_response(response: ModelResponse, answer: Answer) -> None:
    """Describe the answer of a call, and its price in the unit of the price list."""
    used, answered_by = response.usage, response.model_name
    _set(
        {
            **({RESPONSE_MODEL: answered_by, LLM_MODEL: answered_by} if answered_by else {}),
            **({RESPONSE_ID: id_} if (id_ := response.provider_response_id) else {}),
            **({FINISH_REASONS: [reason]} if (reason := response.finish_reason) else {}),
            INPUT_TOKENS: used.input_tokens,
            OUTPUT_TOKENS: used.output_tokens,
            LLM_PROMPT_TOKENS: used.input_tokens,
            LLM_COMPLETION_TOKENS: used.output_tokens,
            LLM_TOTAL_TOKENS: used.total_tokens,
            LLM_COST: answer.usage.money,
        }
    )


def _set(attributes: dict[str, AttributeValue]) -> None:
    span = get_current_span()
    if span.is_recording():
        span.set_attributes(attributes)
