"""Conversation: the state of an agent's run, and the prompts and answers of its model.

All of it is data. A provider's own ids do not occur in it: a call is `call_{step}_{position}`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import isfinite
from typing import Any, Final, Literal, TypeAlias, final

import orjson
from attrs import Attribute, evolve, field, frozen

# A longer result of a tool is cut: no model reads it, and each turn writes the whole state.
RESULT_CHARACTERS_MAX: Final = 50_000
# Calls beyond that in one answer are refused, each with an answer that tells the model so.
CALLS_MAX: Final = 32
_TOKENS_MAX: Final = 2**53


def _check_tokens(_: object, attribute: "Attribute[int]", value: int) -> None:
    if not 0 <= value <= _TOKENS_MAX:
        raise ValueError(f"{attribute.name}: expected 0 to {_TOKENS_MAX} tokens, got {value}")


def _check_money(_: object, __: object, value: float) -> None:
    if not (isfinite(value) and value >= 0):
        raise ValueError(f"money: expected a number not below 0, got {value}")


@final
@frozen
class Usage:
    """The cost of calls of a model: tokens, and their price in the currency of the budget.

    >>> (Usage(100, 10, 0.5) + Usage(1, 2)).tokens
    113
    """

    input_tokens: int = field(default=0, validator=_check_tokens)
    output_tokens: int = field(default=0, validator=_check_tokens)
    money: float = field(default=0.0, validator=_check_money)

    @property
    def tokens(self) -> int:
        """The tokens of input and output."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.money + other.money,
        )


@final
@frozen
class ToolCall:
    """A tool that a model asks for, with *arguments* as JSON text.

    *id* is given by the agent and unique in the run; that of a model's `Answer` is ignored. The
    arguments that a policy sees, and that a tool gets, fit the tool's contract.
    """

    tool: str
    arguments: str = "{}"
    id: str = ""

    @property
    def data(self) -> Mapping[str, Any]:
        """The arguments as an object, empty where the text is no JSON object."""
        try:
            data = orjson.loads(self.arguments)
        except ValueError:
            return {}
        return data if isinstance(data, dict) else {}


@final
@frozen
class Answer:
    """The answer of a model to a prompt: tools to call, or else the final answer as *text*.

    *text*: JSON of the completion's payload. Where that has one property, its value may be plain
    text. *opaque*: the answer in the provider's own form, with parts that only the provider can
    read, such as the signature of its thinking; the model gets it back with the message.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    opaque: str | None = None


@final
@frozen
class Message:
    """One message of a conversation.

    *calls*, *usage* and *opaque*: those of an answer of the model. *answers*: the id of the call
    whose result the message of a tool is.
    """

    role: Literal["user", "assistant", "tool"]
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    answers: str | None = None
    usage: Usage | None = None
    opaque: str | None = None

    @property
    def size(self) -> int:
        """Its size in bytes, without its keys."""
        texts = [self.text, self.opaque or "", *(call.tool + call.arguments for call in self.calls)]
        return sum(len(text.encode()) for text in texts)


@final
@frozen
class PendingCall:
    """A call that waits for a person's approval, or for the result of its tool.

    The arguments of *call* are those that are approved and sent: as the tool's contract reads them.
    """

    call: ToolCall
    stage: Literal["approval", "work"]


@final
@frozen
class Conversation:
    """The state of an agent's run.

    *messages*: those that compaction has left. *pending*: the calls without an answer. *spent*:
    by all calls of the model. *steps*: their number. *corrections*: how often the final answer did
    not fit its contract.
    """

    messages: tuple[Message, ...] = ()
    pending: tuple[PendingCall, ...] = ()
    spent: Usage = Usage()
    steps: int = 0
    corrections: int = 0

    @property
    def undecided(self) -> tuple[ToolCall, ...]:
        """The calls of the last answer, while the policy has not been asked about them."""
        return () if self.pending or not self.messages else self.messages[-1].calls

    def add(self, *messages: Message) -> "Conversation":
        """Append messages."""
        return evolve(self, messages=(*self.messages, *messages))

    def take(self, answer: Answer) -> "Conversation":
        """Append an answer of the model, and add its usage."""
        calls = tuple(
            ToolCall(_encodable(call.tool), _encodable(call.arguments), f"call_{self.steps}_{at}")
            for at, call in enumerate(answer.calls)
        )
        opaque = None if answer.opaque is None else _encodable(answer.opaque)
        message = Message("assistant", _encodable(answer.text), calls, None, answer.usage, opaque)
        counted = evolve(self, steps=self.steps + 1, spent=self.spent + answer.usage)
        return counted.add(message)

    def wait(self, call: ToolCall, stage: Literal["approval", "work"]) -> "Conversation":
        """Note that a call waits, in place of its stage before."""
        pending = [it for it in self.pending if it.call.id != call.id]
        return evolve(self, pending=(*pending, PendingCall(call, stage)))

    def answer(self, call: str, text: str) -> "Conversation":
        """Append the result of the call with an id, which waits no longer."""
        pending = tuple(it for it in self.pending if it.call.id != call)
        message = Message("tool", _cut(_encodable(text)), answers=call)
        return evolve(self.add(message), pending=pending)

    def find(self, call: str, stage: str | None = None) -> ToolCall | None:
        """Return the call with an id that waits, for *stage* where one is given."""
        for pending in self.pending:
            if pending.call.id == call and stage in (None, pending.stage):
                return pending.call
        return None


@final
@frozen
class ToolSpec:
    """A tool as a model sees it; *schema* is the JSON Schema of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]


@final
@frozen(kw_only=True)
class Prompt:
    """The input of a model, made from the state for each call, and stored nowhere.

    *run*: the subject of the run. *step*: the number of the call in it, from 0. *output*: the JSON
    Schema of the final answer. *tokens_max*: how many tokens the budget leaves.
    """

    run: str
    step: int
    system: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    output: Mapping[str, Any]
    tokens_max: int | None = None

    @property
    def key(self) -> str:
        """The idempotency key of the call: the same for each attempt, and unique among calls."""
        return f"{self.run}/{self.step}"


# A model: a plain or an async function. It runs as an effect, so it may do I/O.
Model: TypeAlias = Callable[[Prompt], Answer | Awaitable[Answer]]


def unpaired_call(messages: Sequence[Message]) -> str | None:
    """Return a call that has not exactly one answer, right behind its message; None if all have.

    >>> unpaired_call([Message("assistant", calls=(ToolCall("find", id="call_0_0"),))])
    'call_0_0'
    """
    open_calls: list[str] = []
    for message in messages:
        if message.role == "tool":
            if message.answers not in open_calls:
                return message.answers
            open_calls.remove(message.answers)
        elif open_calls:
            return open_calls[0]
        else:
            open_calls = [call.id for call in message.calls]
    return open_calls[0] if open_calls else None


def _encodable(text: str) -> str:
    # A model may answer with half of a surrogate pair, which no JSON text can hold.
    return text.encode(errors="backslashreplace").decode()


def _cut(text: str) -> str:
    if len(text) <= RESULT_CHARACTERS_MAX:
        return text
    return f"{text[:RESULT_CHARACTERS_MAX]} [cut: {len(text)} characters]"
