"""Laws of agents: with any model, any policy, any budget and any compaction."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import orjson
import pytest
from attrs import evolve
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import Cancellation, Turn
from arvo.agents import (
    Agent,
    Allow,
    Budget,
    Conversation,
    Deny,
    Message,
    NeedsApproval,
    Prompt,
    Role,
    ToolCall,
    Usage,
    Verdict,
    by_tool,
    drop_results,
    keep_last,
    tool,
)
from arvo.agents.compaction import split_exchanges
from arvo.agents.conversation import unpaired_call
from arvo.agents.turns import Turns
from arvo.core.violations.issue import Issues
from arvo.testing.agents import answers
from arvo.testing.agents.agent_laws import LAWS
from arvo.testing.agents.agent_run import AgentRun, Scenario
from arvo.testing.strategies.replies import Answer as Reply
from arvo.testing.strategies.replies import Behaviour, behaviours
from tests.agents.support import (
    SCRIPT,
    Refunded,
    begin,
    find_order,
    make_agent,
    refund,
    research,
    support,
)

TOOLS: Final = (tool(find_order), tool(refund["1.0.0"]), tool(research["1.0.0"]))
verdicts: st.SearchStrategy[Verdict] = st.sampled_from(
    (Allow(), Deny(), NeedsApproval(patience=60), NeedsApproval(patience=None))
)
budgets = st.builds(
    Budget,
    steps=st.integers(1, 6),
    tokens=st.none() | st.integers(1, 4_000),
    money=st.none() | st.integers(1, 64).map(lambda it: it / 64),
    corrections=st.integers(0, 2),
)
compactions = st.one_of(
    st.builds(keep_last, st.integers(1, 8), bytes_max=st.integers(1, 400)),
    st.builds(drop_results, keep=st.integers(1, 3)),
)


def unused_model(prompt: Prompt) -> Any:
    raise AssertionError


@st.composite
def agents(draw: st.DrawFn) -> Agent:
    role = Role(
        model=unused_model,
        system="You help.",
        prompt=lambda ask: ask.question,
        tools=TOOLS,
        policy=by_tool({it.name: draw(verdicts) for it in TOOLS}, otherwise=Deny()),
        budget=draw(budgets),
        compact=draw(compactions),
    )
    return Agent(support, {"1.0.0": role})


@given(st.data())
def test_the_laws_hold_with_any_model_policy_budget_and_compaction(data: st.DataObject) -> None:
    """What a model answers is input from outside: no agent may depend on its good will."""
    agent = data.draw(agents())
    drawn = answers(agent)
    scenario = Scenario(
        begin("q", id="begin"),
        tuple(data.draw(st.lists(drawn | drawn | st.none(), min_size=1, max_size=4))),
        {it.contract.type: data.draw(behaviours(it.contract)) for it in TOOLS},
        tuple(data.draw(st.binary(max_size=24))),
    )
    run = AgentRun(agent, scenario, "1.0.0", datetime.fromisoformat(scenario.event.time))

    run.play()

    assert run.record is not None
    note(run.record.status)
    assert {name: law(agent, run) for name, law in LAWS.items()} == dict.fromkeys(LAWS)


calls = st.lists(st.integers(0, 3), max_size=6)


@given(calls, compactions)
def test_a_compaction_keeps_each_call_with_its_answer(
    numbers: list[int], compact: Callable[[tuple[Message, ...]], tuple[Message, ...]]
) -> None:
    """Providers refuse a prompt with a call that has no answer."""
    messages = [Message("user", "question")]
    for step, number in enumerate(numbers):
        made = tuple(ToolCall("find", id=f"call_{step}_{at}") for at in range(number))
        messages.append(Message("assistant", "x" * 10 * step, made))
        messages += (Message("tool", "y" * 50, answers=it.id) for it in made)

    compacted = compact(tuple(messages))

    assert unpaired_call(compacted) is None
    assert compacted[0] == messages[0]
    assert compact(compacted) == compacted
    assert split_exchanges(compacted)[-1][0] == split_exchanges(messages)[-1][0]


@given(st.integers(1, 8), st.integers(1, 400), calls)
def test_a_compaction_keeps_to_its_bounds(
    messages_max: int, bytes_max: int, sizes: list[int]
) -> None:
    """Each turn writes the whole state."""
    messages = [Message("user"), *(Message("assistant", "x" * 50 * size) for size in sizes)]

    compacted = keep_last(messages_max, bytes_max=bytes_max)(tuple(messages))

    # The question and the last exchange stay in any case.
    assert len(compacted) <= max(2, messages_max)
    assert sum(it.size for it in compacted[:-1]) <= bytes_max
    assert compacted[1:] == tuple(messages[1:])[len(messages) - len(compacted) :]


@given(st.data())
def test_arguments_are_read_as_the_same_text_again(data: st.DataObject) -> None:
    """A person approves the text, and the tool gets it: neither may change it."""
    drawn = answers(make_agent(tools=TOOLS))
    for call in data.draw(drawn).calls:
        for it in TOOLS:
            text = it.read(call.arguments)
            if not isinstance(text, Issues):
                assert it.read(text) == text
                assert isinstance(orjson.loads(text), dict)


MOVES: Final = {"reply": 1, "refuse": 0, "fire": 5, "cancel": 7}
APPROVED: Final = ("fire", "reply", "fire", "reply")


def play(agent: Agent, *moves: str) -> AgentRun:
    """Run an agent by a script; "reply" answers the oldest request, or a person once more."""
    replies = {
        "com.tool.find.order": Reply("evt.tool.find.order.success", {"value": {"total": 42.0}}),
        refund.type: Reply("evt.payment.refunded", Refunded("r-1")),
    }
    tools = agent.roles["1.0.0"].tools
    scenario = Scenario(
        begin("q", id="begin"),
        SCRIPT,
        {it.type: Behaviour(it, (replies[it.type],)) for it in (tool.contract for tool in tools)},
        tuple(MOVES[it] for it in moves),
    )
    run = AgentRun(agent, scenario, "1.0.0", datetime.fromisoformat(scenario.event.time))
    run.play()
    return run


def _send_denied(turns: Turns, wanted: ToolCall, state: Conversation) -> Any:
    return Allow()


def _exhaust_nothing(budget: Budget, steps: int, spent: Usage) -> None:
    return None


def _forget_an_answer(state: Conversation, call: str, text: str) -> Conversation:
    return evolve(state, pending=tuple(it for it in state.pending if it.call.id != call))


def _find_any(state: Conversation, call: str, stage: str | None = None) -> ToolCall | None:
    made = [it for message in state.messages for it in message.calls]
    return next((it for it in made if it.id == call), None)


_CALL: Final = Turns.__call__
_REQUEST: Final = Turns._request  # noqa: SLF001 - faults are planted in it


def _act_on_a_cancellation(turns: Turns, turn: Turn[Any]) -> Any:
    if isinstance(turn.event.data, Cancellation):
        commands: list[Any] = []
        turns._act(turn.state, commands)  # noqa: SLF001
        return commands
    return (yield from _CALL(turns, turn))


def _send_other_arguments(turns: Turns, state: Conversation, wanted: ToolCall, out: Any) -> Any:
    data = {**wanted.data, "order_id": "other"}
    return _REQUEST(turns, state, evolve(wanted, arguments=orjson.dumps(data).decode()), out)


def _hide_the_cost(turns: Turns, state: Conversation, wanted: ToolCall, out: Any) -> Any:
    free = _REQUEST(turns, evolve(state, spent=Usage()), wanted, out)
    return evolve(free, spent=state.spent)


def _send_nothing(turns: Turns, state: Conversation, wanted: ToolCall, out: Any) -> Any:
    return state.wait(wanted, "work")


@pytest.mark.parametrize(
    ("law", "owner", "name", "fault", "moves"),
    [
        ("permission", Turns, "_verdict", _send_denied, ()),
        ("permission", Conversation, "find", _find_any, (*APPROVED, "reply")),
        ("approved arguments", Turns, "_request", _send_other_arguments, APPROVED),
        ("cancellation", Turns, "__call__", _act_on_a_cancellation, ("cancel",)),
        ("budget", Budget, "exhausted", _exhaust_nothing, APPROVED),
        ("pairs", Conversation, "answer", _forget_an_answer, ("fire", "reply")),
        ("end", Turns, "_request", _send_nothing, ()),
        ("spend", Turns, "_request", _hide_the_cost, ()),
    ],
)
def test_a_planted_fault_breaks_its_law(
    law: str,
    owner: Any,
    name: str,
    fault: Callable[..., Any],
    moves: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A law that no fault can break says nothing."""
    agent = make_agent(budget=Budget(steps=2))
    sound = play(agent, *moves)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fault)
        patch.setattr("arvo.agents.turns.unpaired_call", lambda messages: None)
        faulty = play(agent, *moves)

    assert {it: check(agent, sound) for it, check in LAWS.items()} == dict.fromkeys(LAWS)
    assert LAWS[law](agent, faulty) is not None
