"""Agent laws: they hold in each run of an agent, with any answers of its model."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import orjson

from arvo.agents.agent import Agent
from arvo.agents.conversation import Message
from arvo.agents.policy import Allow, Approve, Approved, Deny, NeedsApproval
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.event import Event
from arvo.testing.agents.agent_run import AgentRun, call_of

# Returns a problem of a run, or None.
Law: TypeAlias = Callable[[Agent, AgentRun], str | None]


def check_permission(agent: Agent, run: AgentRun) -> str | None:
    """A tool is called once at most, if its policy allows it or a person has approved it."""
    counts = Counter(call_of(it.id) for it in _requests(agent, run))
    for request in _requests(agent, run):
        call = call_of(request.id)
        if counts[call] > 1:
            return f"{request.type} is requested {counts[call]} times for one call"
        match run.verdicts.get(call):
            case None:
                return f"{request.type} is requested without a verdict of the policy"
            case (_, Allow()):
                pass
            case (_, Deny()):
                return f"{request.type} is requested, and the policy denies it"
            case (_, NeedsApproval()):
                if not isinstance(run.decisions.get(call), Approved):
                    return f"{request.type} is requested, and no person has approved it in time"
    return None


def check_approved_arguments(agent: Agent, run: AgentRun) -> str | None:
    """A tool gets the arguments that the policy saw and that a person approved, byte for byte."""
    questions = [it for _, it in run.sent if isinstance(it.data, Approve)]
    approved = {call_of(it.id): it.data.arguments for it in questions}
    for request in _requests(agent, run):
        call = call_of(request.id)
        sent = {key: value for key, value in request.raw.items() if key != PARENT_SUBJECT}
        seen = approved.get(call) or run.verdicts[call][0].arguments
        if orjson.dumps(sent).decode() != seen:
            return f"{request.type} gets {sent}, and {seen} was allowed"
    return None


def check_cancellation(agent: Agent, run: AgentRun) -> str | None:
    """After a cancellation was accepted no tool is requested, and no model called."""
    if run.cancelled_in is None:
        return None
    for turn, event in run.sent:
        if turn >= run.cancelled_in and event in _requests(agent, run):
            return f"{event.type} is requested after the cancellation"
    if any(it.turn >= run.cancelled_in for it in run.asked):
        return "the model is called after the cancellation"
    return None


def check_budget(agent: Agent, run: AgentRun) -> str | None:
    """No call of the model begins past the budget, and each turn makes one at most."""
    budget = agent.roles[run.version].budget
    for number, asked in enumerate(run.asked):
        exhausted = budget.exhausted(number, asked.before)
        if exhausted is not None:
            return f"call {number} of the model begins although {exhausted}"
    if any(count > 1 for count in Counter(it.turn for it in run.asked).values()):
        return "one turn calls the model twice"
    if run.state is not None and run.state.corrections > budget.corrections:
        return f"{run.state.corrections} corrections, and the budget has {budget.corrections}"
    return None


def check_pairs(_: Agent, run: AgentRun) -> str | None:
    """In each prompt, each call has exactly one answer, right behind the message that makes it."""
    for asked in run.asked:
        unpaired = _unpaired(asked.prompt.messages)
        if unpaired is not None:
            return f"prompt {asked.prompt.step}: {unpaired}"
    return None


def check_end(_: Agent, run: AgentRun) -> str | None:
    """A run ends as completed, failed with a reason or cancelled, or it waits for a person."""
    if run.violations:
        return f"a turn is refused: {run.violations[0]}"
    if run.record is None:
        return "the run has no record"
    if run.record.status == "failed" and run.record.failure is None:
        return "the run failed without a reason"
    state = run.state
    if run.is_active and not (state and any(it.stage == "approval" for it in state.pending)):
        return "the run neither ends nor waits for a person"
    return None


def check_spend(_: Agent, run: AgentRun) -> str | None:
    """The completion, a failure and each request carry the money that the run has spent so far."""
    for turn, event in run.sent:
        if run.cancelled_in is not None and turn >= run.cancelled_in:
            # The error of a cancellation is made by the engine, which knows no cost.
            continue
        spent = _spent(run, turn)
        if event.executionunits != spent:
            return f"{event.type} carries {event.executionunits}, and {spent} was spent"
    return None


LAWS: Final[Mapping[str, Law]] = {
    "permission": check_permission,
    "approved arguments": check_approved_arguments,
    "cancellation": check_cancellation,
    "budget": check_budget,
    "pairs": check_pairs,
    "end": check_end,
    "spend": check_spend,
}


def _requests(agent: Agent, run: AgentRun) -> Sequence[Event[object]]:
    """Return the requests to tools."""
    types = {it.contract.type for it in agent.roles[run.version].tools}
    return [event for _, event in run.sent if event.type in types]


def _spent(run: AgentRun, turn: int) -> float:
    """Return the money that all calls of the model have cost by the end of a turn."""
    script = run.scenario.script
    answers = (script[at % len(script)] for at, it in enumerate(run.asked) if it.turn <= turn)
    return sum(answer.usage.money for answer in answers if answer is not None)


def _unpaired(messages: Sequence[Message]) -> str | None:
    ids = [call.id for message in messages for call in message.calls]
    if len(set(ids)) < len(ids):
        return "two calls have one id"
    for at, message in enumerate(messages):
        behind = messages[at + 1 : at + 1 + len(message.calls)]
        answered = [str(it.answers) for it in behind if it.role == "tool"]
        if sorted(call.id for call in message.calls) != sorted(answered):
            return f"the calls of message {at} and the answers behind it differ"
    results = [message for message in messages if message.role == "tool"]
    if len(results) != len(ids):
        return f"{len(ids)} calls and {len(results)} answers"
    return None
