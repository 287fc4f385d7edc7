"""Batches: an act on many workflows selects what the caller means, and nothing beside it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import define, evolve

from arvo import Client, MemoryBackend, Record, Runtime, StoredWorkflow, System, Turn, Violated
from arvo.core.events.subject import workflow_id_of
from arvo.core.violations.violation import ConfigViolation
from arvo.interpreters.ports.results import PAGE_MAX
from tests.core.contracts.test_versioned_workflow import begin
from tests.interpreters.runtime.running import Replaced, within
from tests.shop import make_workflow


def wait(_: Turn[Any]) -> None:
    """Take a turn, and stay active."""


waiting = System([make_workflow(wait)])


@define
class Clock:
    """A clock that advances by a second each time that it is read."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def test_a_workflow_that_takes_a_turn_while_the_list_is_read_is_acted_on() -> None:
    """It moves to a page that is read already: an operator would believe that it is cancelled."""
    clock, runtimes = Clock(), list[Runtime]()
    memory = MemoryBackend(now=clock)

    async def list_in_a_busy_system(**options: Any) -> tuple[StoredWorkflow, ...]:
        page = await memory.workflows(**options)
        if options.get("after") is None and len(page) == PAGE_MAX:
            (first,) = await memory.workflows(workflow_id="order-0")
            record = evolve(first.record, revision=first.record.revision + 1)
            await memory.replace_record(record, first.record.revision)
            await runtimes[0].send(begin(1.0, workflow_id="order-late"))
            await runtimes[0].drain(timeout=60)
        return page

    async def go() -> tuple[int, int]:
        backend = Replaced(memory, workflows=list_in_a_busy_system)
        async with Runtime(waiting, backend, now=clock) as runtime:
            runtimes.append(runtime)
            for number in range(PAGE_MAX + 20):
                await runtime.send(begin(1.0, workflow_id=f"order-{number}"))
            await runtime.drain(timeout=60)
            result = await runtime.cancel_workflows("a bug")
            await runtime.drain(timeout=60)
            left = await memory.workflows(status="active")
            assert [workflow_id_of(it.record.subject) for it in left] == ["order-late"]
            return result.matched, result.done

    assert within(go()) == (PAGE_MAX + 20, PAGE_MAX + 20)


async def one_workflow(work: Callable[[Client], Any]) -> int:
    """Run *work* beside one active workflow, and return how many are active after it."""
    async with Runtime(waiting, MemoryBackend()) as runtime:
        await runtime.send(begin(1.0, workflow_id="order-1"))
        await runtime.drain(timeout=60)
        await work(runtime)
        await runtime.drain(timeout=60)
        return len(await runtime.workflows(status="active"))


@pytest.mark.parametrize("option", ["lables", "dryrun", "workflow", "handler"])
def test_an_option_that_does_not_exist_is_refused(option: str) -> None:
    """Without its filter an act is for every workflow, and without its `dry_run` it is done."""

    async def work(client: Client) -> None:
        acts: list[Callable[..., Any]] = [client.cancel_workflows, client.revive_workflows]
        for act in acts:
            with pytest.raises(
                TypeError, match=f"unexpected keyword argument '{option}'; it takes"
            ):
                await act(reason="a bug", **{option: "order-2"})
        migrate: Callable[..., Any] = client.migrate_workflows
        with pytest.raises(TypeError, match=f"argument '{option}'"):
            await migrate(to="1.0.0", **{option: "order-2"})

    assert within(one_workflow(work)) == 1


@pytest.mark.parametrize("limit", [-1, 2**31, True, 1.0, "1", None])
def test_a_limit_that_is_no_number_of_items_is_refused(limit: Any) -> None:
    """Stores disagree on it, and a slice up to -1 has nearly all of them."""

    async def work(client: Client) -> None:
        for read in (
            client.workflows(limit=limit),
            client.timers(limit=limit),
            client.audit_log(limit=limit),
            client.dead_letters(limit=limit),
            client.dead_letter_groups(limit=limit),
            client.cancel_workflows("a bug", limit=limit),
            client.redrive_dead_letters(limit=limit),
            client.delete_dead_letters(limit=limit),
        ):
            with pytest.raises(Violated, match="limit: expected a whole number from 0 to"):
                await read

    assert within(one_workflow(work)) == 1


def test_a_status_and_a_time_that_cannot_be_one_are_refused() -> None:
    """A list that is empty because of them would look like good news."""
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - that is the fault
    status: Any = "Failed"

    async def work(client: Client) -> None:
        for read, path in (
            (client.workflows(status=status), "status: expected one of active, done, failed"),
            (client.workflows(unchanged_since=naive), "unchanged_since: expected a datetime with"),
            (client.dead_letters(since=naive), "since: expected a datetime with a time zone"),
            (client.cancel_workflows("a bug", status="failed"), "status: expected 'active', or"),
            (client.revive_workflows(status="active"), "status: expected 'failed', or none"),
        ):
            with pytest.raises(Violated, match=path):
                await read

    assert within(one_workflow(work)) == 1


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_reason_that_cannot_be_recorded_is_refused_before_the_first_act(dry_run: bool) -> None:
    """Not once for each item, nor only after a dry run without it."""

    async def work(client: Client) -> None:
        actor: Any = 5
        for act, path in (
            (client.cancel_workflows("x" * 5_000, dry_run=dry_run), "reason: expected a text"),
            (client.revive_workflows(actor=actor, dry_run=dry_run), "actor: expected a text"),
            (client.redrive_dead_letters(actor=actor, dry_run=dry_run), "actor: expected a text"),
            (client.delete_dead_letters(actor=actor, dry_run=dry_run), "actor: expected a text"),
        ):
            with pytest.raises(Violated, match=path):
                await act

    assert within(one_workflow(work)) == 1


def test_workflows_that_were_chosen_are_acted_on_in_place_of_filters() -> None:
    """An operator has selected rows of a list; one of them has ended meanwhile."""

    async def go() -> tuple[int, int, int]:
        async with Runtime(waiting, MemoryBackend()) as runtime:
            for number in range(3):
                await runtime.send(begin(1.0, workflow_id=f"order-{number}"))
            await runtime.drain(timeout=60)
            chosen = [await runtime.find_subject(f"order-{number}") for number in (0, 1)]
            await runtime.cancel("order-1", "a bug")
            await runtime.drain(timeout=60)
            result = await runtime.cancel_workflows("a bug", subjects=[*chosen, chosen[0]])
            await runtime.drain(timeout=60)
            left = await runtime.workflows(status="active")
            assert [workflow_id_of(it.record.subject) for it in left] == ["order-2"]
            with pytest.raises(Violated, match="type: expected none beside subjects"):
                await runtime.cancel_workflows("a bug", subjects=chosen, type="arvo.orc.x")
            return result.matched, result.done, result.gone

    assert within(go()) == (2, 1, 1)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_check_refuses_workflows(dry_run: bool) -> None:
    """Its caller may act on some of those that match, and a dry run counts the same."""

    async def check(record: Record) -> None:
        if record.status == "active":
            raise Violated(ConfigViolation("you may not do this"))

    async def work(client: Client) -> None:
        result = await client.cancel_workflows("a bug", check=check, dry_run=dry_run)
        assert (result.done, result.refused) == (0, 1)
        assert str(result.refusals[0][1]) == "you may not do this"

    assert within(one_workflow(work)) == 1
