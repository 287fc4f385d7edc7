"""Check agent: search for a model by which an agent breaks a law."""

from collections import Counter
from datetime import datetime
from functools import partial
from typing import Any, Final

import hypothesis
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.agents.agent import Agent
from arvo.core.contracts.versioned_workflow import VersionedWorkflow
from arvo.core.events.event import Event
from arvo.testing.agents.agent_laws import LAWS
from arvo.testing.agents.agent_run import AgentRun, Scenario
from arvo.testing.agents.answers import answers
from arvo.testing.laws.report import CheckReport, NotChecked
from arvo.testing.laws.search import BUDGET, search
from arvo.testing.laws.violation import LawViolated, LawViolation
from arvo.testing.strategies.replies import behaviours
from arvo.testing.strategies.strategies import accepted_events

MOVES_MAX: Final = 24
ANSWERS_MAX: Final = 4


def check_agent(
    agent: Agent,
    version: str | None = None,
    *,
    events: SearchStrategy[Event[Any]] | None = None,
    settings: hypothesis.settings = BUDGET,
) -> CheckReport:
    """Search for a run in which an agent breaks a law, and return how much was tried.

    The model answers anything (`answers`) or fails, the tools reply with anything that their
    contracts permit, people approve, refuse, or answer late and twice, and a cancellation comes at
    any point. Raises `LawViolated` with the shortest run found, and `NotChecked` if too few runs
    can be drawn. The laws, by name:

    - `permission`: a tool is requested once at most for each call, and only if the policy allows it
      or a person approved it in time.
    - `approved arguments`: it gets the arguments that the policy saw and the person approved,
      byte for byte.
    - `cancellation`: no tool is requested and no model called after a cancellation was accepted.
    - `budget`: no call of the model begins past the budget, and a turn makes one at most.
    - `pairs`: each call has exactly one answer in every prompt.
    - `end`: a run completes, fails with a reason, is cancelled, or waits for a person.
    - `spend`: completion, failure and requests carry the money that the run has spent.

    *version*: of its contract, by default the latest. *events*: those that begin runs, by default
    all that the contract accepts. *settings*: settings of Hypothesis.
    """
    __tracebackhide__ = True
    contract = agent.contract.version(version or "latest")
    assert isinstance(contract, VersionedWorkflow)
    cases: Counter[str] = Counter()
    check = partial(_violation, agent, contract.version, cases)
    begins = accepted_events(contract) if events is None else events
    result = search(_scenarios(agent, contract.version, begins), [check], settings)
    if result.violation is not None:
        raise LawViolated(agent.source, result.violation)
    tried = len(result.examples)
    if result.is_short(settings):
        problem = f"{tried} runs could be drawn, in {result.draws.attempts} attempts"
        raise NotChecked(agent.source, problem, (), "pass events=, a strategy that draws more")
    return CheckReport(
        tried=tried,
        discarded=result.draws.discarded,
        handled=cases["turns"],
        laws=dict.fromkeys(LAWS, tried),
    )


def _scenarios(
    agent: Agent, version: str, events: SearchStrategy[Event[Any]]
) -> SearchStrategy[Scenario]:
    contracts = {it.contract.type: it.contract for it in agent.roles[version].tools}
    services = {name: behaviours(contract) for name, contract in contracts.items()}
    drawn = answers(agent, version)
    script = st.lists(drawn | drawn | st.none(), min_size=1, max_size=ANSWERS_MAX)
    return st.builds(
        Scenario,
        event=events,
        script=script.map(tuple),
        behaviours=st.fixed_dictionaries(services),
        # Bytes, because Hypothesis shrinks them faster than a list of integers.
        moves=st.binary(max_size=MOVES_MAX).map(tuple),
    )


def _violation(
    agent: Agent, version: str, cases: Counter[str], scenario: Scenario
) -> LawViolation | None:
    run = AgentRun(agent, scenario, version, datetime.fromisoformat(scenario.event.time))
    run.play()
    cases["turns"] += len(run.trace)
    for name, law in LAWS.items():
        problem = law(agent, run)
        if problem is not None:
            script = [f"the model answers {answer}" for answer in scenario.script]
            remedy = (law.__doc__ or "").strip()
            return LawViolation(
                law=name, problem=problem, trace=(*script, *run.trace), remedy=remedy
            )
    return None
