"""Turns: the function of an agent's runs, from an event and the conversation to commands.

Think and act are two turns. A turn that thinks makes one call of the model and persists the answer;
the turn after it asks the policy and sends the requests. So a cancellation that comes meanwhile
goes first, and no tool begins.
"""

from collections.abc import Sequence
from typing import Any, Final, final

import orjson
from attrs import evolve, frozen

from arvo.agents.conversation import (
    CALLS_MAX,
    Answer,
    Conversation,
    Message,
    Prompt,
    ToolCall,
    unpaired_call,
)
from arvo.agents.policy import (
    Allow,
    Approve,
    Approved,
    Deny,
    NeedsApproval,
    Refused,
    Verdict,
)
from arvo.agents.role import Role
from arvo.core.command import Cancel, Command, Complete, Emit, Fail, Persist, Schedule
from arvo.core.contracts.versioned_workflow import VersionedWorkflow
from arvo.core.events.event import Event
from arvo.core.events.identity import Managed, ManagedId
from arvo.core.events.protocol import Cancellation, SystemFault, TimerFired
from arvo.core.payloads.json_data import Json
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violated
from arvo.handlers.effect import Effects, call
from arvo.handlers.resumable import Turn

THINK: Final = "think"
ACT: Final = "act"
# The timer of a call that waits has this name, and the call's id.
LATE: Final = "late."
# For a call that was made before its tool was taken from the role.
GONE: Final = "error: this tool exists no longer"

Commands = list[Command]


@final
@frozen
class Turns:
    """The turns of one version of an agent; *contract* is that version of its contract."""

    role: Role
    contract: VersionedWorkflow[Any, Any]

    def __call__(self, turn: Turn[Conversation | None]) -> Effects[Sequence[Command]]:
        """Take one turn."""
        event, state = turn.event, turn.state
        if isinstance(event.data, Cancellation):
            return ()
        commands: Commands = []
        if state is None:
            state = Conversation((Message("user", self.role.prompt(event.data)),))
        elif isinstance(event.data, TimerFired):
            after = self._fire(state, event.data.name, commands)
            if after is None:
                return ()
            state = after
        else:
            after = self._receive(state, event, commands)
            if after is None:
                return ()
            state = after
        if state.pending:
            return (*commands, Persist(state))
        return (*commands, *(yield from self._think(state, event.subject)))

    def _fire(self, state: Conversation, timer: str, commands: Commands) -> Conversation | None:
        """Apply a timer; None where it changes nothing."""
        if timer == THINK:
            return state
        if timer == ACT:
            return self._act(state, commands) if state.undecided else None
        late = timer.removeprefix(LATE)
        if state.find(late) is None:
            return None
        is_approval = state.find(late, "approval") is not None
        text = "denied: not approved in time" if is_approval else "error: no result in time"
        return state.answer(late, text)

    def _receive(
        self, state: Conversation, event: Event[Any], commands: Commands
    ) -> Conversation | None:
        """Apply an answer of a person or a tool; None where no call waits for it."""
        managed = ManagedId.parse(event.parentid or "")
        id_, _, stage = ("" if managed is None else managed.value).partition("/")
        waiting = state.find(id_, stage)
        if waiting is None:
            return None
        commands.append(Cancel(f"{LATE}{id_}"))
        match event.data:
            case Approved() if stage == "approval":
                return self._request(state, waiting, commands)
            case Refused(by=by, reason=reason) if stage == "approval":
                return state.answer(id_, f"denied by {by}: {reason}")
            case SystemFault(name=name, message=message) if stage == "approval":
                return state.answer(id_, f"error: {name}: {message}")
            case _:
                tool = self.role.tool(waiting.tool)
                text = GONE if tool is None else tool.write_result(event)
                return state.answer(id_, text)

    def _act(self, state: Conversation, commands: Commands) -> Conversation:
        """Ask the policy about each call of the last answer, and follow its verdict."""
        text = state.messages[-1].text
        for at, wanted in enumerate(state.undecided):
            tool = self.role.tool(wanted.tool)
            if at >= CALLS_MAX:
                state = state.answer(wanted.id, f"error: more than {CALLS_MAX} calls at once")
                continue
            if tool is None:
                names = ", ".join(it.name for it in self.role.tools) or "none"
                state = state.answer(wanted.id, f"error: no such tool; there are: {names}")
                continue
            arguments = tool.read(wanted.arguments)
            if isinstance(arguments, Issues):
                state = state.answer(wanted.id, f"error: {arguments}")
                continue
            checked = evolve(wanted, arguments=arguments)
            match self._verdict(checked, state):
                case Deny(reason=reason):
                    state = state.answer(checked.id, f"denied: {reason}")
                case Allow():
                    state = self._request(state, checked, commands)
                case NeedsApproval() as needed:
                    state = self._ask(state, checked, needed, text, commands)
        return state

    def _verdict(self, wanted: ToolCall, state: Conversation) -> Verdict:
        verdict: object = None if self.role.policy is None else self.role.policy(wanted, state)
        if isinstance(verdict, Allow | Deny | NeedsApproval):
            return verdict
        issue = Issue("policy", "Allow, Deny or NeedsApproval", short_repr(verdict))
        raise Violated(
            ExecutionViolation(f"the policy of {self.contract.type} decides nothing", issue)
        )

    def _ask(
        self,
        state: Conversation,
        wanted: ToolCall,
        needed: NeedsApproval,
        reason: str,
        commands: Commands,
    ) -> Conversation:
        """Ask a person."""
        question = Approve(self.contract.type, wanted.tool, wanted.arguments, reason)
        managed = Managed(f"{wanted.id}/approval")
        units = state.spent.money
        commands.append(Emit(question, domain=needed.domain, id=managed, executionunits=units))
        if needed.patience is not None:
            commands.append(Schedule(f"{LATE}{wanted.id}", after=needed.patience))
        return state.wait(wanted, "approval")

    def _request(self, state: Conversation, wanted: ToolCall, commands: Commands) -> Conversation:
        """Send the request of a call that is allowed."""
        tool = self.role.tool(wanted.tool)
        if tool is None:
            # The role was changed while a person decided.
            return state.answer(wanted.id, GONE)
        commands.append(
            Emit(
                orjson.loads(wanted.arguments),
                type=tool.contract.type,
                # A contract with a domain is answered outside of the system.
                domain=tool.contract.domain,
                id=Managed(f"{wanted.id}/work"),
                executionunits=state.spent.money,
            )
        )
        if tool.patience is not None:
            commands.append(Schedule(f"{LATE}{wanted.id}", after=tool.patience))
        return state.wait(wanted, "work")

    def _think(self, state: Conversation, subject: str) -> Effects[Sequence[Command]]:
        """Call the model once, if the budget allows it."""
        role, units = self.role, state.spent.money
        exhausted = role.budget.exhausted(state.steps, state.spent)
        if exhausted is not None:
            return [Fail(exhausted, name="BudgetExhausted", executionunits=units)]
        state = self._compact(state)
        prompt = Prompt(
            run=subject,
            step=state.steps,
            system=role.system,
            messages=state.messages,
            tools=tuple(it.spec for it in role.tools),
            output=self.contract.completed.schema,
            tokens_max=role.budget.tokens_left(state.spent),
        )
        try:
            answer = yield from call(role.model, prompt, retry=role.retry, timeout=role.timeout)
        except Exception as error:  # noqa: BLE001 - clients of models raise anything
            return [evolve(Fail.of(error, unhandled=True), executionunits=units)]
        if not isinstance(answer, Answer):
            reason = f"the model returned {short_repr(answer)}, expected an Answer"
            return [Fail(reason, name="ModelFailed", executionunits=units)]
        return self._conclude(state.take(answer))

    def _compact(self, state: Conversation) -> Conversation:
        compacted = evolve(state, messages=tuple(self.role.compact(state.messages)))
        unpaired = unpaired_call(compacted.messages)
        if unpaired is None:
            return compacted
        issue = Issue("compact", "each call together with its one answer", unpaired)
        raise Violated(
            ExecutionViolation(f"{self.contract.type} cannot compact its messages", issue)
        )

    def _conclude(self, state: Conversation) -> Commands:
        """Persist an answer of the model, and begin the next turn, or end the run."""
        if state.undecided:
            return [Persist(state), Schedule(ACT, after=0)]
        units = state.spent.money
        payload = self.contract.completed
        written = payload.write(
            _read_output(state.messages[-1].text, payload.schema), path="answer"
        )
        if not isinstance(written, Issues):
            return [Persist(state), Complete(written, executionunits=units)]
        if state.corrections >= self.role.budget.corrections:
            reason = f"the final answer does not fit its contract: {written}"
            return [Fail(reason, name="InvalidOutput", executionunits=units)]
        correction = Message("user", f"The final answer does not fit: {written}. Correct it.")
        corrected = evolve(state, corrections=state.corrections + 1).add(correction)
        return [Persist(corrected), Schedule(THINK, after=0)]


def _read_output(text: str, schema: Json) -> dict[str, Any]:
    """Return the final answer as data; plain text where the completion has one property."""
    try:
        data: object = orjson.loads(text)
    except ValueError:
        data = text
    if isinstance(data, dict):
        return data
    names = list(schema.get("properties", ())) if isinstance(schema, dict) else []
    return {names[0]: text if isinstance(data, str) else data} if len(names) == 1 else {}
