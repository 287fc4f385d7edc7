"""Operations: an operator inspects, cancels and migrates running workflows."""

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
from arvo.interpreters.ports.results import Conflict
from tests.family import begin, deed, family, plan, run_family
from tests.interpreters.inside import send_inside
from tests.shop import (
    NOW,
    SERVICES,
    WEB,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    charge_request,
    order_request,
    reply_to,
    shipping,
)
from tests.versions import Paid, two, versions

T = TypeVar("T")
ROOT = begin(plan()).subject
FAMILY = plan(
    "wait", plan("wait", plan("wait"), plan("wait")), plan("complete"), compensations=["all"]
)


def run_on_runtime(work: Callable[[Runtime], Awaitable[T]]) -> tuple[T, Stats]:
    async def go() -> tuple[T, Stats]:
        async with (
            asyncio.timeout(60),
            Runtime(family, retry=Retry(attempts=2), now=lambda: NOW) as runtime,
        ):
            return await work(runtime), await runtime.drain(timeout=60)

    return asyncio.run(go())


def test_a_tree_of_workflows_is_loaded_from_any_of_them() -> None:
    """It equals the tree of a trace's records."""

    async def work(runtime: Runtime) -> list[Tree]:
        await runtime.send(begin(FAMILY))
        await runtime.drain(timeout=60)
        root = await runtime.tree(ROOT)
        return [root, *[await runtime.tree(run.subject) for run in root]]

    trees, _ = run_on_runtime(work)

    assert len(trees) == 6
    assert set(trees) == {tree(run_family(FAMILY).records, ROOT)}


def test_cancelling_a_workflow_cancels_its_tree_and_notifies_its_initiator() -> None:
    """A caller that waits for the answer need not wait for a timeout."""

    async def work(runtime: Runtime) -> tuple[object, Tree]:
        requesting = asyncio.create_task(runtime.request(begin(FAMILY), timeout=60))
        for _ in range(1000):
            if await runtime.record(ROOT) is not None:
                break
            await asyncio.sleep(0.001)
        await runtime.cancel(ROOT, "enough")
        answer = await requesting
        await runtime.drain(timeout=60)
        return (answer.to, answer.data.name, answer.data.message), await runtime.tree(ROOT)

    (answer, whole), stats = run_on_runtime(work)

    assert answer == (WEB, "Cancelled", "enough")
    statuses = sorted(run.record.status for run in whole if run.record is not None)
    assert statuses == ["cancelled"] * 4 + ["done"]
    assert (stats.cancelled, stats.dead_lettered) == (4, 0)


def test_cancelling_twice_is_no_error() -> None:
    """Two operators may act at the same time."""

    async def work(runtime: Runtime) -> None:
        await runtime.send(begin(plan()))
        await runtime.cancel(ROOT, "enough")
        await runtime.cancel(ROOT, "really")

    _, stats = run_on_runtime(work)

    assert (stats.cancelled, stats.late, stats.dead_lettered) == (1, 1, 0)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("junk", "subject: expected base64"),
        (
            str(Subject.new("arvo.orc.unknown.one", "1.0.0", initiator=WEB)),
            "expected a workflow of this system (arvo.orc.family.top, arvo.orc.family.middle, ",
        ),
        (
            str(Subject.new(deed.type, "1.0.0", initiator=WEB)),
            "the subject names no workflow of this system",
        ),
    ],
    ids=["no subject", "another system's", "no workflow"],
)
def test_a_subject_without_a_workflow_cannot_be_cancelled(subject: str, expected: str) -> None:
    """A typing error is reported at once."""

    async def work(runtime: Runtime) -> str:
        with pytest.raises(Violated) as refused:
            await runtime.cancel(subject, "enough")
        return str(refused.value)

    message, stats = run_on_runtime(work)

    assert expected in message
    assert stats == Stats()


def test_the_cancellation_of_an_unknown_workflow_becomes_a_dead_letter() -> None:
    """It may have overtaken the init event, so it is retried; then an operator should see it."""

    async def work(runtime: Runtime) -> list[str]:
        await runtime.cancel(ROOT, "enough")
        await runtime.drain(timeout=60)
        return [dead_letter.reason for dead_letter in await runtime.dead_letters()]

    (reason,), stats = run_on_runtime(work)

    assert "arrived before the workflow started" in reason
    assert (stats.retried, stats.dead_lettered) == (1, 1)


both = versions()
SUBJECT = order_request().subject


def migrate_with(work: Callable[[Runtime], Awaitable[T]], **options: Any) -> T:
    async def go() -> T:
        async with asyncio.timeout(60), Runtime(System([both, shipping]), **options) as runtime:
            await runtime.send(order_request())
            await runtime.drain(timeout=60)
            return await work(runtime)

    return asyncio.run(go())


def make_reply(record: Record) -> Event[Any]:
    """Make the reply to the pending request of a workflow."""
    request = charge_request(subject=SUBJECT, redirectto=record.handler)
    return reply_to(attrs.evolve(request, id=record.unanswered[0]), CardCharged("r"))


async def load_record(runtime: Runtime) -> Record:
    record = await runtime.record(SUBJECT)
    assert record is not None
    return record


def test_an_active_workflow_migrates_and_continues_in_the_new_version() -> None:
    """The stored record is the migrated one."""

    async def work(runtime: Runtime) -> tuple[bool, object]:
        before = await load_record(runtime)
        record = await runtime.migrate(
            SUBJECT, to="2.0.0", state=lambda old: {**old, "priority": 3}
        )
        is_stored = record == await load_record(runtime)
        await send_inside(runtime, make_reply(before))
        await runtime.drain(timeout=60)
        return is_stored, (await load_record(runtime)).status

    assert migrate_with(work) == (True, "done")


def test_a_migration_to_the_same_version_changes_nothing() -> None:
    """The revision stays, so no turn in progress is taken again."""

    async def work(runtime: Runtime) -> bool:
        before = await load_record(runtime)
        return await runtime.migrate(SUBJECT, to="1.0.0") == before == await load_record(runtime)

    assert migrate_with(work)


@pytest.mark.parametrize(
    ("subject", "to", "message"),
    [
        (ROOT, "2.0.0", "there is no such workflow"),
        (SUBJECT, "9.0.0", "has no such version"),
    ],
)
def test_a_migration_that_is_impossible_raises(subject: str, to: str, message: str) -> None:
    """A violation is raised as an exception at the outer edge."""

    async def work(runtime: Runtime) -> None:
        with pytest.raises(Violated, match=message):
            await runtime.migrate(subject, to=to)

    migrate_with(work)


def test_a_turn_in_progress_is_taken_again_in_the_new_version() -> None:
    """It was decided on the old record, so its commit conflicts."""
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
        async with asyncio.timeout(60), Runtime(system) as runtime:
            await runtime.send(order_request())
            await runtime.drain(timeout=60)
            await send_inside(runtime, make_reply(await load_record(runtime)))
            await asked.wait()
            moved = await runtime.migrate(SUBJECT, to="2.0.0")
            go_on.set()
            await runtime.drain(timeout=60)
            return moved.status, (await load_record(runtime)).version

    assert asyncio.run(go()) == ("active", "2.0.0")
    assert turns == ["1.0.0", "2.0.0"]


@attrs.define
class Busy:
    """A memory backend whose first replacements conflict."""

    conflicts: int
    inner: MemoryBackend = attrs.field(factory=MemoryBackend)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def replace_record(self, record: Record, expected: int) -> Any:
        if self.conflicts > 0:
            self.conflicts -= 1
            return Conflict(expected + 1)
        return await self.inner.replace_record(record, expected)


@pytest.mark.parametrize(("conflicts", "expected"), [(9, "2.0.0"), (10, "took a turn 10 times")])
def test_a_conflict_is_retried_but_not_for_ever(conflicts: int, expected: str) -> None:
    """Every loop is bounded."""

    async def work(runtime: Runtime) -> str:
        try:
            return (await runtime.migrate(SUBJECT, to="2.0.0")).version
        except Violated as violated:
            return str(violated)

    assert expected in migrate_with(work, backend=Busy(conflicts))
