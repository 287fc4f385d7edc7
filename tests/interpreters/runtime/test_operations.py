"""Control: what an operator does with a running workflow."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import attrs
import pytest

from arvo import (
    Complete,
    Emit,
    Event,
    MemoryBackend,
    Record,
    Resumable,
    Retry,
    Runtime,
    Stats,
    Subject,
    System,
    Tree,
    Turn,
    Violated,
    call,
    tree,
)
from arvo.interpreters.ports.backend import Conflict
from tests.family import begin, deed, family, lived, plan
from tests.shop import (
    NOW,
    SERVICES,
    WEB,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    answering,
    charging,
    placing,
    shipping,
)
from tests.versions import Paid, two, versions

T = TypeVar("T")
ROOT = begin(plan()).subject
FAMILY = plan("wait", plan("wait", plan("wait"), plan("wait")), plan("complete"), undos=["all"])


def running(work: Callable[[Runtime], Awaitable[T]]) -> tuple[T, Stats]:
    async def go() -> tuple[T, Stats]:
        async with (
            asyncio.timeout(5),
            Runtime(family, retry=Retry(attempts=2), now=lambda: NOW) as runtime,
        ):
            return await work(runtime), await runtime.drain(timeout=3)

    return asyncio.run(go())


def test_a_tree_of_workflows_is_read_from_any_of_them() -> None:
    """The same as from a trace's records."""

    async def work(runtime: Runtime) -> list[Tree]:
        await runtime.send(begin(FAMILY))
        await runtime.drain(timeout=3)
        root = await runtime.tree(ROOT)
        return [root, *[await runtime.tree(run.subject) for run in root]]

    trees, _ = running(work)

    assert len(trees) == 6
    assert set(trees) == {tree(lived(FAMILY).records, ROOT)}


def test_cancelling_a_workflow_cancels_its_tree_and_tells_its_initiator() -> None:
    """Whoever waits for the answer need not wait for a timeout."""

    async def work(runtime: Runtime) -> tuple[object, Tree]:
        asking = asyncio.create_task(runtime.request(begin(FAMILY), timeout=3))
        for _ in range(1000):
            if await runtime.record(ROOT) is not None:
                break
            await asyncio.sleep(0.001)
        await runtime.cancel(ROOT, "enough")
        answer = await asking
        await runtime.drain(timeout=3)
        return (answer.to, answer.data.name, answer.data.message), await runtime.tree(ROOT)

    (told, whole), stats = running(work)

    assert told == (WEB, "Cancelled", "enough")
    statuses = sorted(run.record.status for run in whole if run.record is not None)
    assert statuses == ["cancelled"] * 4 + ["done"]
    assert (stats.cancelled, stats.dead_lettered) == (4, 0)


def test_cancelling_twice_is_no_error() -> None:
    """Two operators may have the same thought."""

    async def work(runtime: Runtime) -> None:
        await runtime.send(begin(plan()))
        await runtime.cancel(ROOT, "enough")
        await runtime.cancel(ROOT, "really")

    _, stats = running(work)

    assert (stats.cancelled, stats.late, stats.dead_lettered) == (1, 1, 0)


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("junk", "subject: expected base64"),
        (
            str(Subject.new("arvo.orc.unknown.one", "1.0.0", initiator=WEB)),
            "expected a workflow of this system (arvo.orc.family.top, arvo.orc.family.middle, ",
        ),
        (str(Subject.new(deed.type, "1.0.0", initiator=WEB)), "the subject names no workflow here"),
    ],
    ids=["no subject", "another system's", "no workflow"],
)
def test_what_names_no_workflow_here_cannot_be_cancelled(subject: str, said: str) -> None:
    """A slip of the hand is told at once."""

    async def work(runtime: Runtime) -> str:
        with pytest.raises(Violated) as refused:
            await runtime.cancel(subject, "enough")
        return str(refused.value)

    told, stats = running(work)

    assert said in told
    assert stats == Stats()


def test_cancelling_what_never_began_ends_as_a_dead_letter() -> None:
    """It may have overtaken the beginning, so it is tried again; then somebody should know."""

    async def work(runtime: Runtime) -> list[str]:
        await runtime.cancel(ROOT, "enough")
        await runtime.drain(timeout=3)
        return [dead_letter.reason for dead_letter in await runtime.dead_letters()]

    (reason,), stats = running(work)

    assert "a cancellation came too early" in reason
    assert (stats.retried, stats.dead_lettered) == (1, 1)


both = versions()
SUBJECT = placing().subject


def moving(work: Callable[[Runtime], Awaitable[T]], **options: Any) -> T:
    async def go() -> T:
        async with asyncio.timeout(5), Runtime(System([both, shipping]), **options) as runtime:
            await runtime.send(placing())
            await runtime.drain(timeout=3)
            return await work(runtime)

    return asyncio.run(go())


def answer(record: Record) -> Event[Any]:
    """Answer what a workflow has asked."""
    asked = charging(subject=SUBJECT, redirectto=record.handler)
    return answering(attrs.evolve(asked, id=record.unanswered[0]), CardCharged("r"))


async def known(runtime: Runtime) -> Record:
    record = await runtime.record(SUBJECT)
    assert record is not None
    return record


def test_a_workflow_that_runs_is_moved_and_goes_on_in_the_new_version() -> None:
    """What is read afterwards is what was moved."""

    async def work(runtime: Runtime) -> tuple[bool, object]:
        before = await known(runtime)
        record = await runtime.migrate(
            SUBJECT, to="2.0.0", state=lambda old: {**old, "priority": 3}
        )
        kept = record == await known(runtime)
        await runtime.send(answer(before))
        await runtime.drain(timeout=3)
        return kept, (await known(runtime)).status

    assert moving(work) == (True, "done")


def test_moving_to_its_own_version_changes_nothing() -> None:
    """The revision stays, so no turn in hand is taken again."""

    async def work(runtime: Runtime) -> bool:
        before = await known(runtime)
        return await runtime.migrate(SUBJECT, to="1.0.0") == before == await known(runtime)

    assert moving(work)


@pytest.mark.parametrize(
    ("subject", "to", "said"),
    [
        (ROOT, "2.0.0", "nothing is remembered of this workflow"),
        (SUBJECT, "9.0.0", "has no such version"),
    ],
)
def test_what_cannot_be_moved_is_told(subject: str, to: str, said: str) -> None:
    """At the outer edge, as an exception."""

    async def work(runtime: Runtime) -> None:
        with pytest.raises(Violated, match=said):
            await runtime.migrate(subject, to=to)

    moving(work)


def test_a_turn_that_is_in_hand_is_taken_again_in_the_new_version() -> None:
    """At rest only: the turn was decided on what is no more, and its commit is refused."""
    asked = asyncio.Event()
    go_on = asyncio.Event()
    turns: list[str] = []

    async def slow() -> None:
        asked.set()
        await go_on.wait()

    def begins(turn: Turn[Any], version: str) -> Any:
        return Emit(ChargeCard("o1", 1.0)) if turn.input is not None else ends(version)

    def ends(version: str) -> Any:
        yield from call(slow)
        turns.append(version)
        return Complete(OrderFulfilled("t") if version == "1.0.0" else Paid("t", "r"))

    functions = {version: partial(begins, version=version) for version in ("1.0.0", "2.0.0")}
    system = System([Resumable(two, functions, services=SERVICES)])

    async def go() -> tuple[str, str]:
        async with asyncio.timeout(5), Runtime(system) as runtime:
            await runtime.send(placing())
            await runtime.drain(timeout=3)
            await runtime.send(answer(await known(runtime)))
            await asked.wait()
            moved = await runtime.migrate(SUBJECT, to="2.0.0")
            go_on.set()
            await runtime.drain(timeout=3)
            return moved.status, (await known(runtime)).version

    assert asyncio.run(go()) == ("active", "2.0.0")
    assert turns == ["1.0.0", "2.0.0"]


@attrs.define
class Busy:
    """A memory backend whose records have always just been changed by another."""

    races: int
    inner: MemoryBackend = attrs.field(factory=MemoryBackend)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def replace_record(self, record: Record, expected: int) -> Any:
        if self.races > 0:
            self.races -= 1
            return Conflict(expected + 1)
        return await self.inner.replace_record(record, expected)


@pytest.mark.parametrize(("races", "said"), [(9, "2.0.0"), (10, "took a turn 10 times")])
def test_a_lost_race_is_run_again_but_not_for_ever(races: int, said: str) -> None:
    """Everything is bounded."""

    async def work(runtime: Runtime) -> str:
        try:
            return (await runtime.migrate(SUBJECT, to="2.0.0")).version
        except Violated as violated:
            return str(violated)

    assert said in moving(work, backend=Busy(races))
