"""Messages: a prompt in the form of pydantic-ai, and its responses as answers."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from attrs import define, field
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from arvo.agents.conversation import Answer, Message, Prompt, ToolCall, Usage
from arvo.agents.tools import FINAL

IGNORED: Final = "ignored: other tools were called with it"
EMPTY: Final = "(no answer)"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def to_parameters(prompt: Prompt) -> ModelRequestParameters:
    """Return the tools of a prompt, and the form of its final answer."""
    tools = [
        ToolDefinition(
            name=it.name, description=it.description, parameters_json_schema=dict(it.schema)
        )
        for it in prompt.tools
    ]
    final = ToolDefinition(
        name=FINAL,
        description="The final answer.",
        parameters_json_schema=dict(prompt.output),
        kind="output",
    )
    return ModelRequestParameters(
        function_tools=tools, output_tools=[final], output_mode="tool", allow_text_output=True
    )


def to_messages(prompt: Prompt) -> list[ModelMessage]:
    """Return the messages of a prompt, each call with its one answer right behind it."""
    writer = _Writer([SystemPromptPart(prompt.system)])
    for message in prompt.messages:
        writer.add(message)
    return writer.finish()


def to_answer(response: ModelResponse, money: float) -> Answer:
    """Return a response as an answer."""
    calls = [it for it in response.parts if isinstance(it, ToolCallPart)]
    tools = tuple(
        ToolCall(it.tool_name, it.args_as_json_str()) for it in calls if it.tool_name != FINAL
    )
    final = [it.args_as_json_str() for it in calls if it.tool_name == FINAL]
    texts = [it.content for it in response.parts if isinstance(it, TextPart)]
    text = final[0] if final and not tools else "".join(texts)
    usage = Usage(response.usage.input_tokens, response.usage.output_tokens, money)
    return Answer(text, tools, usage, None if _is_plain(response) else _dump(response))


def _is_plain(response: ModelResponse) -> bool:
    """Return whether the text and the calls are all that the provider must get back."""
    return all(
        isinstance(part, TextPart | ToolCallPart) and not (part.id or part.provider_details)
        for part in response.parts
    )


def _dump(response: ModelResponse) -> str:
    return ModelMessagesTypeAdapter.dump_json([response]).decode()


@define
class _Writer:
    """Writes messages; *parts* are those of the request that is not yet complete.

    *ids*: of the calls of the last response, by ours. *finals*: those of its final answers, which
    are calls for the provider and must be answered, too.
    """

    parts: list[ModelRequestPart]
    messages: list[ModelMessage] = field(factory=list)
    _calls: dict[str, ToolCallPart] = field(factory=dict)
    _finals: list[ToolCallPart] = field(factory=list)
    _used: set[str] = field(factory=set)

    def add(self, message: Message) -> None:
        """Add one message."""
        match message.role:
            case "user":
                answered: list[ModelRequestPart] = [*self._answer_finals(message.text)]
                self.parts += answered or [UserPromptPart(message.text)]
            case "assistant":
                self._flush()
                self._add_response(message)
            case "tool":
                self.parts += self._answer_finals(IGNORED)
                call = self._calls[str(message.answers)]
                self.parts.append(ToolReturnPart(call.tool_name, message.text, call.tool_call_id))

    def finish(self) -> list[ModelMessage]:
        """Return all messages."""
        self._flush()
        return self.messages

    def _flush(self) -> None:
        if self.parts:
            self.messages.append(ModelRequest(parts=self.parts))
            self.parts = []

    def _answer_finals(self, text: str) -> Iterator[ToolReturnPart]:
        finals, self._finals = self._finals, []
        for call in finals:
            yield ToolReturnPart(call.tool_name, text, call.tool_call_id)

    def _add_response(self, message: Message) -> None:
        response = _load(message)
        made = [it for it in response.parts if isinstance(it, ToolCallPart)]
        finals = [it for it in made if it.tool_name == FINAL]
        calls = [it for it in made if it.tool_name != FINAL]
        # The same calls in the same order: the answer was made of this response.
        self._calls = {ours.id: theirs for ours, theirs in zip(message.calls, calls, strict=True)}
        self._finals = finals
        for ours, theirs in self._calls.items():
            self._give_id(theirs, ours)
        for at, theirs in enumerate(finals):
            self._give_id(theirs, f"final_{len(self.messages)}_{at}")
        self.messages.append(response)

    def _give_id(self, call: ToolCallPart, ours: str) -> None:
        """Keep the provider's id, unless another call of the run has it."""
        if call.tool_call_id in self._used or not _ID.fullmatch(call.tool_call_id):
            call.tool_call_id = ours
        self._used.add(call.tool_call_id)


def _load(message: Message) -> ModelResponse:
    if message.opaque is not None:
        [loaded] = ModelMessagesTypeAdapter.validate_json(message.opaque)
        return cast("ModelResponse", loaded)
    calls = [ToolCallPart(it.tool, it.arguments, tool_call_id=it.id) for it in message.calls]
    text = message.text or ("" if calls else EMPTY)
    parts: Sequence[Any] = [*([TextPart(text)] if text else []), *calls]
    return ModelResponse(parts=parts)
