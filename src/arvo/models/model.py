"""Model: one call of a provider's model, by the clients of pydantic-ai."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from typing import Final, TypeAlias, cast, final

from attrs import frozen
from genai_prices import calc_price
from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart
from pydantic_ai.messages import TextPartDelta as TextDelta
from pydantic_ai.models import Model, infer_model
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from arvo.agents.conversation import Answer, Prompt
from arvo.core.violations.arguments import check_argument, check_function, refusal
from arvo.models.messages import to_answer, to_messages, to_parameters
from arvo.models.span import describe_request, describe_response

# Below that the rest of a budget limits the answer; above, the provider's own limit does, which a
# larger number would exceed.
OUTPUT_TOKENS: Final = 4_096

# From the usage of one call to its price.
Price: TypeAlias = Callable[[RequestUsage], float]


@final
@frozen
class Delta:
    """A piece of text that a model writes in step *step* of the run with the subject *run*."""

    run: str
    step: int
    text: str


def model(
    name: str | Model,
    *,
    settings: ModelSettings | None = None,
    on_delta: Callable[[Delta], None] | None = None,
    price: Price | None = None,
) -> Callable[[Prompt], Awaitable[Answer]]:
    """Make the model of a `Role` from one of pydantic-ai, or from its name there.

    *name*: such as `"anthropic:claude-haiku-4-5"`; its client is made at the first call, so that a
    test needs no key. *settings*: see pydantic-ai. *on_delta*: gets pieces of text while the model
    writes, at most once each; none comes again when the run is replayed. `on_delta=report` sends
    them to those who watch the run. *price*: the price of one call; by default that of genai-prices
    in US dollars, and `Violated` is raised for a model that it does not know.
    """
    check_argument("name", name, str | Model, "a name, or a model of pydantic-ai", of="model")
    check_function("on_delta", on_delta, "a function of a Delta", of="model")
    check_function("price", price, "a function of the usage", of="model")
    short = name.rpartition(":")[2] if isinstance(name, str) else name.model_name
    cost = _known_price(short) if price is None else price

    @cache
    def client() -> Model:
        return infer_model(name) if isinstance(name, str) else name

    async def think(prompt: Prompt) -> Answer:
        messages, parameters = to_messages(prompt), to_parameters(prompt)
        chosen = _limit_output(settings, prompt.tokens_max)
        describe_request(client(), prompt)
        if on_delta is None:
            response = await client().request(messages, chosen, parameters)
        else:
            async with client().request_stream(messages, chosen, parameters) as stream:
                async for text in _texts(cast("AsyncIterator[object]", stream)):
                    on_delta(Delta(prompt.run, prompt.step, text))
                response = stream.get()
        answer = to_answer(response, cost(response.usage))
        describe_response(response, answer)
        return answer

    think.__qualname__ = f"model({short!r})"
    return think


async def _texts(stream: AsyncIterator[object]) -> AsyncIterator[str]:
    async for event in stream:
        match event:
            case PartStartEvent(part=TextPart(content=text)) if text:
                yield text
            case PartDeltaEvent(delta=TextDelta(content_delta=text)) if text:
                yield text
            case _:
                pass


def _limit_output(settings: ModelSettings | None, left: int | None) -> ModelSettings:
    chosen = ModelSettings() if settings is None else ModelSettings(**settings)
    if left is not None and left < chosen.get("max_tokens", OUTPUT_TOKENS):
        chosen["max_tokens"] = left
    return chosen


def _known_price(name: str) -> Price:
    """Return the price list's function for a model, which must be in it."""

    def price(usage: RequestUsage) -> float:
        return float(calc_price(usage, model_ref=name).total_price)

    try:
        price(RequestUsage())
    except LookupError:
        expected = "a model whose price is known, or price= with a function of the usage"
        raise refusal("name", name, expected, "model") from None
    return price
