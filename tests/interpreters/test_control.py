"""Control: what an operator does with a running workflow."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from arvo import Retry, Runtime, Stats, Subject, Tree, Violated, tree
from tests.family import begin, deed, family, lived, plan
from tests.shop import NOW, WEB

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
    assert (stats.cancelled, stats.dead) == (4, 0)


def test_cancelling_twice_is_no_error() -> None:
    """Two operators may have the same thought."""

    async def work(runtime: Runtime) -> None:
        await runtime.send(begin(plan()))
        await runtime.cancel(ROOT, "enough")
        await runtime.cancel(ROOT, "really")

    _, stats = running(work)

    assert (stats.cancelled, stats.late, stats.dead) == (1, 1, 0)


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
        return [letter.reason for letter in await runtime.dead_letters()]

    (reason,), stats = running(work)

    assert "a cancellation came too early" in reason
    assert (stats.retried, stats.dead) == (1, 1)
