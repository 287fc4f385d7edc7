"""Agent run: one run of an agent among services, people and timers, in any order of events."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, final

from attrs import define, evolve, field, frozen

from arvo.agents.agent import Agent
from arvo.agents.conversation import Answer, Conversation, Prompt, ToolCall, Usage
from arvo.agents.policy import Approved, Refused, Verdict, approval
from arvo.core.contracts.versioned_workflow import VersionedWorkflow
from arvo.core.events.event import Event
from arvo.core.events.identity import ManagedId
from arvo.core.record import Record
from arvo.core.violations.violation import Violation
from arvo.engine.run import run
from arvo.engine.step.event_factory import pending_timers
from arvo.engine.system.system import System
from arvo.testing.strategies.replies import Behaviour

# A run that goes on longer does not end.
EVENTS_MAX: Final = 2_000
APPROVAL: Final = approval["1.0.0"]


class ModelFailed(Exception):
    """A model's client raised, as any may."""


@final
@frozen
class Scenario:
    """A run to try: the answers of the model, the replies of services, and the order of events.

    A None among *script* is a failure of the model. *moves*: one byte for each event, which says
    which of those that may come is next.
    """

    event: Event[Any]
    script: tuple[Answer | None, ...]
    behaviours: Mapping[str, Behaviour]
    moves: tuple[int, ...]


@final
@frozen
class Asked:
    """One call of the model: its prompt, and the usage of the calls before it."""

    prompt: Prompt
    before: Usage
    turn: int


@final
@define(eq=False)
class AgentRun:
    """One run, and its observations.

    *sent*: the events of each turn. *verdicts*: those of the policy, by the id of the call.
    *decisions*: the last answer of a person that came in time, by the id of the call.
    """

    agent: Agent
    scenario: Scenario
    version: str
    now: datetime
    record: Record | None = None
    asked: list[Asked] = field(factory=list)
    spent: Usage = field(factory=Usage)
    verdicts: dict[str, tuple[ToolCall, Verdict]] = field(factory=dict)
    decisions: dict[str, Any] = field(factory=dict)
    sent: list[tuple[int, Event[Any]]] = field(factory=list)
    cancelled_in: int | None = None
    violations: list[Violation] = field(factory=list)
    trace: list[str] = field(factory=list)
    _open: list[Event[Any]] = field(factory=list)
    _turn: int = 0
    _decided: int = 0

    def play(self) -> None:
        """Deliver events in the order of the moves, then whatever is left until the run ends."""
        system = self._system()
        self._deliver(system, self.scenario.event)
        for move in self.scenario.moves:
            if not self.is_active:
                return
            self._move(system, move)
        while self.is_active and self._turn < EVENTS_MAX:
            work = [it for it in self._open if it.type != APPROVAL.type]
            if work:
                self._reply(system, work[0])
            elif not self._fire(system):
                return

    @property
    def is_active(self) -> bool:
        """Whether the run goes on."""
        return self.record is not None and self.record.status == "active"

    @property
    def state(self) -> Conversation | None:
        """The conversation as it was persisted last."""
        return None if self.record is None else self.agent.query(self.record)

    def _system(self) -> System:
        role = self.agent.roles[self.version]
        policy = role.policy

        def judged(call: ToolCall, conversation: Conversation) -> Verdict:
            assert policy is not None
            verdict = policy(call, conversation)
            self.verdicts[call.id] = (call, verdict)
            return verdict

        role = evolve(role, model=self._model, policy=None if policy is None else judged)
        agent = Agent(self.agent.contract, {**self.agent.roles, self.version: role})
        contracts = {it.contract.dataschema: it.contract for it in role.tools}
        return System([agent], remote=[it for it in contracts.values() if it.domain is None])

    def _model(self, prompt: Prompt) -> Answer:
        script = self.scenario.script
        answer = script[len(self.asked) % len(script)]
        self.asked.append(Asked(prompt, self.spent, self._turn))
        if answer is None:
            raise ModelFailed("the model's client failed")
        self.spent += answer.usage
        return answer

    def _move(self, system: System, move: int) -> None:
        kind, choice = move % 8, move // 8
        if kind == 7 and choice % 4 == 0:
            self._cancel(system)
        elif kind < 5 and self._open:
            self._reply(system, self._open[choice % len(self._open)], is_refused=kind == 0)
        else:
            self._fire(system)

    def _reply(self, system: System, request: Event[Any], *, is_refused: bool = False) -> None:
        if request.type == APPROVAL.type:
            self._decide(system, request, is_refused=is_refused)
            return
        self._open.remove(request)
        self._deliver(system, self.scenario.behaviours[request.type](request))

    def _decide(self, system: System, request: Event[Any], *, is_refused: bool) -> None:
        """Answer the question to a person; it stays open, as a person may answer again."""
        call = call_of(request.id)
        state = self.state
        if state is not None and state.find(call, "approval") is not None:
            self.decisions[call] = Refused("ann") if is_refused else Approved("ann")
        self._decided += 1
        self._deliver(
            system,
            APPROVAL.emits(
                Refused("ann") if is_refused else Approved("ann"),
                source=APPROVAL.type,
                subject=request.subject,
                to=request.source,
                parentid=request.id,
                id=f"decision-{self._decided}",
                time=self.now,
            ),
        )

    def _fire(self, system: System) -> bool:
        assert self.record is not None
        timers = sorted(pending_timers(system, self.record), key=lambda it: it.due)
        if not timers:
            return False
        self.now = max(self.now, timers[0].due)
        self._deliver(system, timers[0].event)
        return True

    def _cancel(self, system: System) -> None:
        contract = self.agent.contract.version(self.version)
        assert isinstance(contract, VersionedWorkflow)
        assert self.record is not None
        event = contract.cancel(
            "stop", source="com.test.user", subject=self.record.subject, id="cancel", time=self.now
        )
        self._deliver(system, event)
        self.cancelled_in = self._turn

    def _deliver(self, system: System, event: Event[Any]) -> None:
        """Let the agent take one event."""
        self._turn += 1
        self.trace.append(f"{event.type}: {event.raw}")
        records = {} if self.record is None else {self.record.subject: self.record}
        trace = run(
            system,
            event,
            records=records,
            effects={self._model: self._model},
            now=self.now,
            steps_max=1,
        )
        self.violations += trace.violations
        self.record = trace.records.get(self.scenario.event.subject, self.record)
        for sent in trace.events[1:]:
            self.sent.append((self._turn, sent))
            if ManagedId.parse(sent.id) is not None:
                self._open.append(sent)


def call_of(request: str) -> str:
    """Return the id of the call that a request, with its own id, was sent for."""
    managed = ManagedId.parse(request)
    return "" if managed is None else managed.value.partition("/")[0]
