"""Again: a recorded run with another model or another prompt, on the results of its tools."""

import inspect
from typing import final

import orjson
from attrs import frozen

from arvo.agents.agent import Agent
from arvo.agents.conversation import Answer, Message, Model, Prompt, ToolCall, Usage
from arvo.core.record import Record
from arvo.core.violations.arguments import check_argument, refusal


@final
@frozen(kw_only=True)
class Comparison:
    """A recorded run and the same run anew, up to their first difference.

    *step*: the step at which they differ, None if they do not. *recorded*, *answered*: the messages
    of both at the last step compared. *recorded_usage*, *usage*: of the steps compared.
    """

    step: int | None
    recorded: Message
    answered: Message
    recorded_usage: Usage
    usage: Usage

    def __str__(self) -> str:
        before, after = self.recorded_usage, self.usage
        costs = f"tokens {before.tokens} -> {after.tokens}, money {before.money} -> {after.money}"
        if self.step is None:
            return f"no difference; {costs}"
        shown = f"{_show(self.recorded)} -> {_show(self.answered)}"
        return f"first difference at step {self.step}: {shown}; {costs}"


async def again(
    agent: Agent, record: Record, *, model: Model | None = None, system: str | None = None
) -> Comparison:
    """Run a recorded conversation anew, and return the first difference and both costs.

    *model* and *system* replace those of the role. The model gets each recorded prompt in turn, and
    no tool runs: behind the first difference its results are not known. Answers differ by their
    calls, or by the final answer; the text beside calls is not compared. Messages that compaction
    has dropped are missing in the prompts.
    """
    check_argument("agent", agent, Agent, "an Agent", of="again")
    check_argument("record", record, Record, "a Record", of="again")
    state, role = agent.query(record), agent.roles[record.version]
    messages = () if state is None else state.messages
    answered = [at for at, it in enumerate(messages) if it.role == "assistant"]
    if not answered:
        raise refusal("record", record.subject, "a run with an answer of its model", "again")
    chosen = role.model if model is None else model
    before, after = Usage(), Usage()
    for step, at in enumerate(answered):
        prompt = Prompt(
            run=record.subject,
            step=step,
            system=role.system if system is None else system,
            messages=messages[:at],
            tools=tuple(it.spec for it in role.tools),
            output=agent.contract.version(record.version).completed.schema,
        )
        returned = chosen(prompt)
        answer: Answer = await returned if inspect.isawaitable(returned) else returned
        before, after = before + (messages[at].usage or Usage()), after + answer.usage
        made = Message("assistant", answer.text, answer.calls, usage=answer.usage)
        differs = _meaning(made) != _meaning(messages[at])
        if differs or at == answered[-1]:
            return Comparison(
                step=step if differs else None,
                recorded=messages[at],
                answered=made,
                recorded_usage=before,
                usage=after,
            )
    raise AssertionError("the last step returns")


def _meaning(message: Message) -> object:
    """Return the calls of an answer, or its final answer, as data."""
    return [(it.tool, _data(it.arguments)) for it in message.calls] or _data(message.text)


def _data(text: str) -> object:
    try:
        return orjson.loads(text)
    except ValueError:
        return text


def _show(message: Message) -> str:
    calls = [_show_call(it) for it in message.calls]
    return ", ".join(calls) or message.text


def _show_call(call: ToolCall) -> str:
    return f"{call.tool}({call.arguments})"
