"""Agents: one run, turn by turn."""

from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from arvo import Event, EventHandler, System, Trace, query, run
from arvo.agents import (
    Agent,
    Allow,
    Answer,
    Approve,
    Approved,
    Budget,
    Conversation,
    Message,
    Prompt,
    Refused,
    ToolCall,
    Usage,
    by_tool,
    keep_last,
)
from arvo.testing import World, always, eventually, simulate
from arvo.testing.agents import check_agent, scripted
from tests.agents.support import (
    DONE,
    LOOK,
    PAY,
    SCRIPT,
    Refund,
    Replied,
    begin,
    decide,
    find_order,
    make_agent,
    make_system,
    refund,
    research,
    support,
)
from tests.draws import draws

ORDER: Final = {"total": 42.0, "order": 3.0}


def effects(system: System, **more: Any) -> dict[Any, Any]:
    """Return stubs of the functions that the agent's model and tools are."""
    [agent] = [it for it in system.handlers if isinstance(it, Agent)]
    model = agent.roles["1.0.0"].model
    return {model: model, find_order: lambda order_id, key: ORDER}


def start(system: System) -> tuple[Event[Any], Trace]:
    """Run up to the question to a person."""
    event = begin()
    trace = run(system, event, effects=effects(system), until=datetime.fromisoformat(event.time))
    return event, trace


def go_on(system: System, trace: Trace, event: Event[Any], until: datetime | None = None) -> Trace:
    """Deliver another event."""
    return run(
        system,
        event,
        effects=effects(system),
        records=trace.records,
        now=trace.now,
        until=until or trace.now,
    )


def state_of(system: System, trace: Trace, subject: str) -> Conversation:
    state = query(system, trace.records[subject])
    assert isinstance(state, Conversation)
    return state


def requests(trace: Trace) -> list[Refund]:
    return [it.data for it in trace.events if isinstance(it.data, Refund)]


def test_an_approved_call_is_made_with_exactly_the_arguments_that_were_approved() -> None:
    """After an approval nothing asks the model again, which might want something else."""
    system = make_system()
    begun, before = start(system)
    [question] = before.outside

    after = go_on(system, before, decide(question, Approved("ann")))

    arguments = '{"order_id":"o-1","amount":42.0,"note":"-"}'
    agent = "arvo.orc.agent.support"
    assert question.data == Approve(agent, "payment_refund", arguments, "I shall pay it back.")
    assert question.domain == "human.approval"
    assert requests(before) == []
    assert requests(after) == [Refund("o-1", 42.0)]
    assert after.answer is not None
    assert after.answer.data == Replied("Paid back")
    assert [it.text for it in state_of(system, after, begun.subject).messages] == [
        "Money back for o-1",
        "Let me look.",
        '{"value":{"total":42.0,"order":3.0}}',
        "I shall pay it back.",
        '{"receipt":"r-o-1"}',
        '{"answer": "Paid back"}',
    ]


def test_each_event_carries_what_the_run_has_spent_so_far() -> None:
    """A bill counts the cost where it arises, and a parent sees the cost of its child."""
    system = make_system()
    _, before = start(system)
    [question] = before.outside

    after = go_on(system, before, decide(question, Approved("ann")))

    units = {it.type: it.executionunits for it in (*before.events, *after.events)}
    assert units["com.tool.find.order"] == 0.25
    assert units["com.arvo.agent.approve"] == 0.75
    assert units["com.payment.refund"] == 0.75
    assert units["arvo.orc.agent.support.done"] == 0.875


def test_a_refused_call_is_not_made_and_the_model_gets_the_reason() -> None:
    """The person decides, and the model may offer something else."""
    system = make_system()
    begun, before = start(system)
    [question] = before.outside

    after = go_on(system, before, decide(question, Refused("ann", "too much")))

    assert requests(after) == []
    assert state_of(system, after, begun.subject).messages[-2].text == "denied by ann: too much"


def test_an_approval_after_its_patience_changes_nothing() -> None:
    """The run went on long ago: the order may have been paid in another way."""
    slow = Answer(calls=(ToolCall("payment_refund", '{"order_id":"o-2","amount":1}'),))
    system = make_system(scripted([LOOK, PAY, slow, DONE]))
    begun, before = start(system)
    [question] = before.outside
    late = go_on(system, before, begin_other(), before.now + timedelta(days=7))

    after = go_on(system, late, decide(question, Approved("ann")))

    texts = [it.text for it in state_of(system, after, begun.subject).messages]
    assert "denied: not approved in time" in texts
    assert requests(after) == []
    assert state_of(system, after, begun.subject) == state_of(system, late, begun.subject)


def begin_other() -> Event[Any]:
    """Make an event that only moves time."""
    return begin("other", workflow_id="other")


def test_an_approval_counts_once() -> None:
    """Two clicks, or two people, pay once."""
    system = make_system()
    _, before = start(system)
    [question] = before.outside
    second = decide(question, Approved("bob"))

    after = run(
        system,
        decide(question, Approved("ann")),
        second,
        effects=effects(system),
        records=before.records,
        now=before.now,
    )

    assert len(requests(after)) == 1


def test_a_denied_call_and_an_unknown_tool_are_answered_at_once() -> None:
    """The model learns why, and the run goes on."""
    wanted = (ToolCall("payment_refund", '{"order_id":"o-1","amount":1}'), ToolCall("drop_table"))
    system = make_system(scripted([Answer(calls=wanted), DONE]), policy=by_tool({}))
    begun, trace = start(system)

    texts = [it.text for it in state_of(system, trace, begun.subject).messages]

    unknown = "error: no such tool; there are: find_order, payment_refund"
    assert texts[2:4] == ["denied: not allowed", unknown]
    assert requests(trace) == []
    assert trace.answer is not None


def test_arguments_that_do_not_fit_are_answered_with_what_is_wrong() -> None:
    """The model corrects itself; the service never sees them."""
    wrong = Answer(calls=(ToolCall("payment_refund", '{"order_id":"o-1","amount":"ten"}'),))
    system = make_system(scripted([wrong, DONE]))
    begun, trace = start(system)

    text = state_of(system, trace, begun.subject).messages[2].text

    assert text == "error: arguments.amount: expected a number, got 'ten'"


def test_a_final_answer_that_does_not_fit_is_corrected_and_then_fails() -> None:
    """The contract of the workflow is a promise to its caller."""
    wrong = Answer('{"unknown": 1}', usage=Usage(money=0.5))
    corrected = start(make_system(scripted([wrong, DONE])))[1]
    failed = start(make_system(scripted([wrong] * 3)))[1]

    assert corrected.answer is not None
    assert corrected.answer.data == Replied("Paid back")
    assert failed.answer is not None
    assert failed.answer.data.name == "InvalidOutput"
    assert "answer.answer: expected" in failed.answer.data.message
    assert failed.answer.executionunits == 1.5


def test_plain_text_is_the_value_of_a_completion_with_one_property() -> None:
    """Models speak text; a contract of one text need not teach them JSON."""
    trace = start(make_system(scripted(["All is well."])))[1]

    assert trace.answer is not None
    assert trace.answer.data == Replied("All is well.")


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(steps=1), "the budget of 1 steps is used up"),
        (Budget(tokens=100), "the budget of 100 tokens is used up: 110"),
        (Budget(money=0.25), "the budget of 0.25 is used up: 0.25"),
    ],
)
def test_a_run_fails_once_its_budget_is_used_up(budget: Budget, reason: str) -> None:
    """A loop of a model costs money until something stops it."""
    trace = start(make_system(budget=budget))[1]

    assert trace.answer is not None
    assert (trace.answer.data.name, trace.answer.data.message) == ("BudgetExhausted", reason)
    assert trace.answer.executionunits == 0.25


def test_a_model_that_fails_ends_the_run_with_its_exception_and_the_cost() -> None:
    """The caller learns why, and what was spent all the same."""
    trace = start(make_system(scripted([LOOK])))[1]

    assert trace.answer is not None
    assert trace.answer.data.name == "LookupError"
    assert trace.answer.executionunits == 0.25


def test_a_cancellation_between_thinking_and_acting_stops_the_tools() -> None:
    """Who presses stop while the model thinks does not want what it then asks for."""
    system = make_system()
    event = begin()
    thought = run(system, event, effects=effects(system), steps_max=1)
    cancel = support["1.0.0"].cancel("stop", source="com.shop.web", subject=event.subject)

    after = run(system, cancel, effects=effects(system), records=thought.records, now=thought.now)

    assert after.records[event.subject].status == "cancelled"
    assert [it.type for it in after.events if it.type.startswith("com.tool")] == []


def test_two_calls_of_one_answer_run_in_parallel_and_have_ids_of_their_own() -> None:
    """Providers may repeat their ids, and an event's id must be unique for all time."""
    twice = ToolCall("find_order", '{"order_id":"o-1"}', id="same")
    system = make_system(scripted([Answer(calls=(twice, twice)), DONE]))
    begun, trace = start(system)

    sent = [it for it in trace.events if it.type == "com.tool.find.order"]
    messages = state_of(system, trace, begun.subject).messages

    assert len({it.id for it in sent}) == 2
    assert {it.parentid for it in sent} == {sent[0].parentid}
    assert [it.id for it in messages[1].calls] == ["call_0_0", "call_0_1"]
    assert sorted(str(it.answers) for it in messages[2:4]) == ["call_0_0", "call_0_1"]


def test_a_model_that_names_another_parent_for_a_child_is_ignored() -> None:
    """The parent of a child is the agent: its answer would go to another run."""
    text = '{"topic":"x","parentSubject$$":"another"}'
    asks = Answer(calls=(ToolCall("research", text),))
    agent = make_agent(
        scripted([asks, DONE]), tools=[research["1.0.0"]], policy=by_tool({}, otherwise=Allow())
    )
    system = System([agent], remote=[research["1.0.0"]])
    begun, trace = start_remote(system)

    [child] = trace.remote

    assert child.raw == {"topic": "x", "parentSubject$$": begun.subject}


def start_remote(system: System) -> tuple[Event[Any], Trace]:
    event = begin()
    [agent] = system.handlers
    assert isinstance(agent, Agent)
    model = agent.roles["1.0.0"].model
    now = datetime.fromisoformat(event.time)
    return event, run(system, event, effects={model: model}, until=now)


def test_a_service_that_never_answers_does_not_hold_the_run() -> None:
    """Every run ends, or waits for a person."""
    agent = make_agent(scripted([PAY, DONE]), policy=by_tool({}, otherwise=Allow()))
    system = System([*agent.handlers], remote=[refund["1.0.0"]])
    event = begin()

    trace = run(system, event, effects=effects(system))

    assert state_of(system, trace, event.subject).messages[2].text == "error: no result in time"
    assert trace.answer is not None
    assert trace.now - datetime.fromisoformat(event.time) == timedelta(days=1)


def test_a_failed_service_is_an_answer_to_the_model() -> None:
    """The model may try another way."""

    def fail(event: Event[Refund]) -> Any:
        raise RuntimeError("no money left")

    agent = make_agent(scripted([PAY, DONE]), policy=by_tool({}, otherwise=Allow()))
    system = System([*agent.handlers, EventHandler(refund, {"1.0.0": fail})])
    begun, trace = start(system)

    text = state_of(system, trace, begun.subject).messages[2].text
    assert text == "error: RuntimeError: no money left"


def test_the_model_gets_the_prompt_the_tools_and_what_is_left() -> None:
    """All that it needs comes with each call: it keeps no session."""
    prompts: list[Prompt] = []

    def model(prompt: Prompt) -> Answer:
        prompts.append(prompt)
        return SCRIPT[prompt.step]

    system = make_system(model, budget=Budget(tokens=1_000))
    begun, _ = start(system)

    assert [it.key for it in prompts] == [f"{begun.subject}/0", f"{begun.subject}/1"]
    assert [it.tokens_max for it in prompts] == [1_000, 890]
    assert prompts[0].system == "You help the customers of a shop."
    assert prompts[0].messages == (Message("user", "Money back for o-1"),)
    find, pay = prompts[0].tools
    assert (find.name, find.description) == ("find_order", "Find what an order cost.")
    assert list(find.schema["properties"]) == ["order_id"]
    assert (pay.name, pay.description) == ("payment_refund", "Pays money back.")
    assert list(prompts[0].output["properties"]) == ["answer"]


def test_compaction_shortens_the_state_itself() -> None:
    """The state would grow without a bound, whatever the prompt shows."""
    calls = [Answer("look", (ToolCall("find_order", '{"order_id":"o"}'),))] * 10
    system = make_system(scripted([*calls, DONE]), compact=keep_last(5))
    begun, trace = start(system)

    messages = state_of(system, trace, begun.subject).messages

    assert len(messages) <= 5 + 1
    assert messages[0].text == "Money back for o-1"


def test_the_laws_hold() -> None:
    """As the author of an agent runs them."""
    report = check_agent(make_agent())

    assert report.tried > 50


def customer_knows(world: World) -> bool:
    return [it.answer for it in world.payloads(Replied)] == ["Paid back"]


def paid_after_approval(world: World) -> bool:
    return not world.payloads(Refund) or bool(world.payloads(Approved))


def paid_once(world: World) -> bool:
    return len(set(world.payloads(Refund))) <= 1


def test_a_run_ends_well_with_every_fault() -> None:
    """Crashes, duplicates, delays, lost answers and forged events change none of it."""
    system = make_system()
    simulate(
        system,
        [begin()],
        effects=effects(system),
        domain_listeners={"human.approval": lambda event: [decide(event, Approved("ann"))]},
        runs=draws(15, 200),
        checks=[eventually(customer_knows), always(paid_after_approval), always(paid_once)],
    )
