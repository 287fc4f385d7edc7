"""Laws of signals and asks: each counts once, in its sender's order, and has its own answer."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias

import pytest
from attrs import evolve, frozen
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from arvo import (
    Backend,
    Client,
    Commands,
    Contract,
    Emit,
    Event,
    InMemoryMachineMemory,
    MemoryBackend,
    MemoryBroker,
    OrchestratorContract,
    Persist,
    Resumable,
    Runtime,
    System,
    Turn,
    Version,
    VersionedContract,
    Workflow,
    paired,
)
from arvo.core.begin import has_chosen_id
from arvo.interpreters.sqlite import SqliteBackend
from arvo.testing import (
    Crash,
    Drop,
    Duplicate,
    LostAnswer,
    LostRequest,
    OutboxCrash,
    Pause,
    simulate,
)

TIMEOUT_SECONDS = 60.0
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
Kind: TypeAlias = Literal["memory", "sqlite", "pair"]


@frozen
class Open:
    pass


@frozen
class Closed:
    pass


@frozen
class Mark:
    name: str


@frozen
class Vote:
    name: str


@frozen(order=True)
class Counted:
    name: str
    place: int


@frozen
class Poll:
    """The names of the signals so far, in their order."""

    names: tuple[str, ...] = ()


mark = Contract(uri="#/asks/mark", type="com.asks.mark", versions={"1.0.0": Version(accepts=Mark)})[
    "1.0.0"
]
vote = Contract(
    uri="#/asks/vote",
    type="com.asks.vote",
    versions={"1.0.0": Version(accepts=Vote, emits={"evt.asks.counted": Counted})},
)["1.0.0"]
poll = OrchestratorContract(
    uri="#/asks/poll", name="asks.poll", versions={"1.0.0": Workflow(init=Open, complete=Closed)}
)


def count(turn: Turn[Poll]) -> Commands:
    match turn.event.data:
        case Open():
            return Persist(Poll())
        case Mark(name=name):
            return Persist(evolve(turn.state, names=(*turn.state.names, name)))
        case Vote(name=name):
            names = (*turn.state.names, name)
            return Persist(evolve(turn.state, names=names)), Emit(Counted(name, len(names)))
        case _:
            return None


counting = Resumable(poll, {"1.0.0": count}, signals=[mark, vote], state=Poll)
system = System([counting])


@frozen
class Send:
    """A signal that is sent so many times at once; *elsewhere*: in part by another client."""

    is_asked: bool
    copies: int
    elsewhere: bool


# What each sender sends, one after the other; the senders work at the same time.
PLANS = st.lists(
    st.lists(st.builds(Send, st.booleans(), st.integers(1, 3), st.booleans()), max_size=4),
    min_size=1,
    max_size=4,
)


@pytest.mark.promise("I2", "I4")
@pytest.mark.parametrize("kind", ["memory", "sqlite", "pair"])
@settings(max_examples=25)
@given(plans=PLANS)
def test_each_signal_counts_once_in_order_and_each_ask_gets_its_answer(
    kind: Kind, plans: list[list[Send]]
) -> None:
    """I2, I4: whichever process asks, how often, and what else comes meanwhile."""
    answers, names = asyncio.run(_run(kind, plans))

    sent = {
        f"{sender}-{number}": send
        for sender, plan in enumerate(plans)
        for number, send in enumerate(plan)
    }
    note(f"signals: {min(len(sent), 5)}")
    assert sorted(names) == sorted(sent)
    for sender, plan in enumerate(plans):
        own = [name for name in names if name.startswith(f"{sender}-")]
        assert own == [f"{sender}-{number}" for number in range(len(plan))]
    assert sorted(answers) == sorted(name for name, send in sent.items() if send.is_asked)
    for name, given_answers in answers.items():
        assert len(given_answers) == sent[name].copies
        assert len({answer.id for answer in given_answers}) == 1
        assert given_answers[0].data == Counted(name, names.index(name) + 1)


@pytest.mark.promise("I2", "I4")
@pytest.mark.parametrize("storage", ["store", "pair"])
@settings(max_examples=25)
@given(plans=PLANS, seed=st.integers(0, 10_000))
def test_signals_and_answers_survive_faults(
    storage: Literal["store", "pair"], plans: list[list[Send]], seed: int
) -> None:
    """I2, I4: redelivered, doubled, and with workers that die or stop in between."""
    begin = poll["1.0.0"].init(Open(), source="com.asks.test", workflow_id="poll-1", time=_time(0))
    signals = [
        _signal(begin.subject, sender, number, it)
        for sender, plan in enumerate(plans)
        for number, it in enumerate(plan)
        for _ in range(it.copies)
    ]

    simulation = simulate(
        system,
        [begin, *signals],
        seed=seed,
        runs=1,
        storage=storage,
        kinds=[Duplicate, Drop, Crash, OutboxCrash, Pause, LostAnswer, LostRequest],
    )

    world = simulation.world
    [record] = world.records.values()
    state = counting.query(record)
    assert state is not None
    names = state.names
    assert sorted(names) == sorted({signal.id for signal in signals})
    for sender, plan in enumerate(plans):
        own = [name for name in names if name.startswith(f"{sender}-")]
        assert own == [f"{sender}-{number}" for number in range(len(plan))]
    given_answers = {event.id: event for event in world.sent if isinstance(event.data, Counted)}
    assert sorted((it.parentid, it.data) for it in given_answers.values()) == sorted(
        (signal.id, Counted(signal.id, names.index(signal.id) + 1))
        for signal in {it.id: it for it in signals if it.type == vote.type}.values()
    )
    assert world.dead_letters == []


def _signal(subject: str, sender: int, number: int, it: Send) -> Event[Any]:
    """Make a signal; the one before it of its sender comes a second earlier."""
    name = f"{sender}-{number}"
    contract: VersionedContract[Any] = vote if it.is_asked else mark
    return contract.accepts(
        Vote(name) if it.is_asked else Mark(name),
        source=f"com.asks.sender{sender}",
        subject=subject,
        to=poll.type,
        id=name,
        time=_time(1 + number + sender / 10),
    )


def _time(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


async def _run(
    kind: Kind, plans: list[list[Send]]
) -> tuple[dict[str, list[Event[Any]]], tuple[str, ...]]:
    """Return the answers by the name of the signal, and the names in the order of their turns."""
    answers: dict[str, list[Event[Any]]] = {}
    async with asyncio.timeout(TIMEOUT_SECONDS), AsyncExitStack() as stack:
        here, elsewhere = _open(kind, stack)
        runtime = await stack.enter_async_context(Runtime(system, here))
        client: Client = runtime
        if elsewhere is not None:
            client = await stack.enter_async_context(Client(system, elsewhere))
        begin = poll["1.0.0"].init(Open(), source="com.asks.test", workflow_id="poll-1")
        assert has_chosen_id(begin)
        await runtime.send(begin)

        async def send(name: str, it: Send, copy: int) -> None:
            sender = client if it.elsewhere and copy else runtime
            options: dict[str, Any] = {"id": name, "time": begin.time}
            if it.is_asked:
                answer = await sender.ask(begin.subject, Vote(name), **options)
                answers.setdefault(name, []).append(answer)
            else:
                await sender.signal(begin.subject, Mark(name), **options)

        async def send_all(sender: int, plan: list[Send]) -> None:
            for number, it in enumerate(plan):
                name = f"{sender}-{number}"
                await asyncio.gather(*(send(name, it, copy) for copy in range(it.copies)))

        await asyncio.gather(*(send_all(sender, plan) for sender, plan in enumerate(plans)))
        await runtime.drain(timeout=TIMEOUT_SECONDS)
        return answers, (await runtime.query(begin.subject)).names


def _open(kind: Kind, stack: AsyncExitStack) -> tuple[Backend, Backend | None]:
    """Open a backend, and once more for another client where that is possible in one process."""
    if kind == "memory":
        return MemoryBackend(), None
    if kind == "pair":
        memory, broker = InMemoryMachineMemory(), MemoryBroker()
        return paired(memory, broker), paired(memory, broker)
    folder = stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
    return SqliteBackend(f"{folder}/asks.db"), SqliteBackend(f"{folder}/asks.db")
