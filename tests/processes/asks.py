"""Asks: a workflow that answers signals, for callers in other processes than its own."""

import asyncio
from typing import Any, Final

from attrs import frozen

from arvo import (
    Client,
    Contract,
    Event,
    Flow,
    OrchestratorContract,
    System,
    Version,
    Workflow,
    flow,
    tell,
    wait_for,
)

# A loaded machine is slow, and a new queue of a broker takes its time.
TIMEOUT_SECONDS: Final = 120.0


@frozen
class Open:
    votes: int


@frozen
class Closed:
    votes: int


@frozen
class Vote:
    by: str


@frozen
class Counted:
    by: str
    votes: int


vote = Contract(
    uri="#/processes/vote",
    type="com.processes.vote",
    versions={"1.0.0": Version(accepts=Vote, emits={"evt.processes.counted": Counted})},
)
poll = OrchestratorContract(
    uri="#/processes/poll",
    name="processes.poll",
    versions={"1.0.0": Workflow(init=Open, complete=Closed)},
)


@flow(poll, "1.0.0", signals=[vote["1.0.0"]])
def count_votes(event: Event[Open]) -> Flow[Closed]:
    for votes in range(1, event.data.votes + 1):
        voted = yield from wait_for(Vote)
        yield from tell(Counted(voted.by, votes))
    return Closed(event.data.votes)


async def ask_for_votes(url: str, key: str, votes: int) -> list[tuple[str, int]]:
    """Begin a poll and ask it *votes* times at once, some twice; return the distinct answers.

    This process handles nothing. The last answer comes in the turn that ends the workflow.
    """
    begin = poll["1.0.0"].init(Open(votes), source="com.processes.test", workflow_id=key)
    async with Client(System([count_votes]), url) as client:
        await client.send(begin)
        asked = [
            client.ask(
                begin.subject,
                Vote(str(number)),
                id=f"{key}-{number}",
                time=begin.time,
                timeout=TIMEOUT_SECONDS,
            )
            for number in range(votes)
            for _ in range(1 + number % 2)
        ]
        answers: list[Event[Any]] = await asyncio.gather(*asked)
        again = await client.ask(
            begin.subject, Vote("0"), id=f"{key}-0", time=begin.time, timeout=TIMEOUT_SECONDS
        )
        assert again in answers
    distinct = {answer.id: answer.data for answer in answers}.values()
    return sorted((counted.by, counted.votes) for counted in distinct)
