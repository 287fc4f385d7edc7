"""Batches: a person acts on many from a list: a dry run first, then a job that can be stopped."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx
import pytest
from attrs import evolve

from arvo import Record, Runtime
from arvo.console import Verb, act, console
from arvo.console.jobs.runner import RUNNING_MAX
from arvo.console.requests.security import COOKIE
from arvo.core.events.subject import workflow_id_of
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.runtime.batches import CONCURRENT_ACTS_MAX
from tests.console.pages import read_page
from tests.console.stores import (
    AUDITS,
    ORDERS,
    SECRET,
    Order,
    begin,
    browse,
    system,
    turns,
    with_console,
)
from tests.interpreters.runtime.running import Replaced
from tests.interpreters.within import within

T = TypeVar("T")
# More than are acted on at the same time, so that some have not begun when the others have.
MANY = CONCURRENT_ACTS_MAX + 4
ACTIVE = {"waits-1", "chart-1", "flow-1"}


async def post(browser: httpx.AsyncClient, path: str, fields: Mapping[str, Any]) -> httpx.Response:
    """Send a form as a browser does."""
    if COOKIE not in browser.cookies:
        await browser.get("/")
    return await browser.post(path, data={"token": browser.cookies[COOKIE], **fields})


async def ended(browser: httpx.AsyncClient, path: str) -> str:
    """Return the text of a job's page once the job has ended."""
    while "<progress" in (text := (await browser.get(path)).text):  # noqa: ASYNC110 - as a browser
        await asyncio.sleep(0.01)
    read_page(text)
    return text


def counts_of(text: str) -> list[int]:
    """Return what a job's page counts: those that match, are done, gone and refused."""
    return [int(it.text) for it in read_page(text).all("dd")[:4]]


async def run(browser: httpx.AsyncClient, tried: str, reason: str = "a test") -> str:
    """Do what a dry run has tried; return the text of the page when it has ended."""
    answer = await post(browser, tried.replace("/job", "/job/run"), {"reason": reason})
    assert answer.status_code == 303, answer.text
    return await ended(browser, answer.headers["location"])


async def active_ids(runtime: Runtime) -> set[str]:
    """Return the ids of the active workflows."""
    await runtime.drain(timeout=60)
    return {workflow_id_of(it.record.subject) for it in await runtime.workflows(status="active")}


def test_many_workflows_are_cancelled_after_a_dry_run() -> None:
    """The dry run changes nothing, and a second click does not act twice."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        listed = await browser.get("/workflows?status=active")
        begun = await post(browser, "/batches/workflows", {"verb": "cancel", "scope": "all"})
        tried = begun.headers["location"]
        dry = await ended(browser, tried)
        untouched = await active_ids(runtime)
        no_reason = await post(browser, tried.replace("/job", "/job/run"), {"reason": " "})
        done = await run(browser, tried, "a wrong price")
        again = await post(browser, tried.replace("/job", "/job/run"), {"reason": "twice"})
        acts = await runtime.audit_log()

        assert "all workflows that match the filters" in listed.text
        assert (counts_of(dry), untouched) == ([3, 3, 0, 0], ACTIVE)
        assert "arvo cancel package.module:system --all --reason" in dry
        assert no_reason.status_code == 422
        assert "reason: expected why you do this" in no_reason.text
        assert counts_of(done) == [3, 3, 0, 0]
        assert await active_ids(runtime) == set()
        assert {(it.verb, it.actor, it.reason) for it in acts} == {
            ("cancel", "ann", "a wrong price")
        }
        assert len(acts) == 3
        assert await ended(browser, again.headers["location"]) == done
        assert "a wrong price" in (await browser.get("/activity")).text
        assert len(read_page((await browser.get("/jobs")).text).all("tr")) == 3

    with_console(use, allow=act, user=lambda request: "ann")


def test_the_selected_rows_alone_are_acted_on() -> None:
    """A row has a box, which a keyboard reaches; what is filtered besides does not matter."""
    waits = ORDERS["waits-1"].subject

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        page = read_page((await browser.get("/workflows")).text)
        boxes = [it for it in page.all("input") if it.attributes.get("type") == "checkbox"]
        fields = {"verb": "cancel", "scope": "selected", "subject": waits, "q": "chart"}
        begun = await post(browser, "/batches/workflows", fields)
        tried = begun.headers["location"]
        dry = await ended(browser, tried)
        await run(browser, tried)

        assert waits in {it.attributes["value"] for it in boxes}
        assert "1 selected workflow" in dry
        assert "arvo cancel package.module:system waits-1" in dry
        assert await active_ids(runtime) == ACTIVE - {"waits-1"}

    with_console(use, allow=act)


def test_many_workflows_are_migrated_and_the_refused_ones_are_explained() -> None:
    """A flow has no second version: one reason, with its number and whom it concerns."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        fields = {"verb": "migrate", "scope": "all", "to": "2.0.0"}
        begun = await post(browser, "/batches/workflows", fields)
        tried = begun.headers["location"]
        dry = await ended(browser, tried)
        await run(browser, tried)
        record = await runtime.record("waits-1")
        unknown = await post(browser, "/batches/workflows", {**fields, "to": "9.9.9"})

        assert counts_of(dry) == [3, 1, 0, 2]
        assert {"chart-1", "flow-1"} <= {it.text for it in read_page(dry).all("a")}
        assert "--all --to 2.0.0" in dry
        assert SECRET not in dry
        assert record is not None
        assert record.version == "2.0.0"
        assert unknown.status_code == 422

        fields = {"verb": "cancel", "scope": "all", "version": "2.0.0"}
        begun = await post(browser, "/batches/workflows", fields)
        dry = await ended(browser, begun.headers["location"])
        await run(browser, begun.headers["location"])

        assert "--version 2.0.0" in dry
        assert await active_ids(runtime) == ACTIVE - {"waits-1"}

    with_console(use, allow=act)


def test_failed_workflows_are_revived_also_after_compensations() -> None:
    """That may be right, and only a person can say so: it is tried once more with that."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        subject = ORDERS["failed-1"].subject
        record = await runtime.record(subject)
        assert record is not None
        compensation = FrozenDict({"type": "com.a.b"})
        sent = evolve(record, revision=record.revision + 1, compensations=(compensation,))
        await runtime.backend.replace_record(sent, record.revision)
        fields = {"verb": "revive", "scope": "all", "status": "failed"}
        begun = await post(browser, "/batches/workflows", fields)
        refused = await ended(browser, begun.headers["location"])
        path = begun.headers["location"].replace("/job", "/job/again")
        again = await post(browser, path, {"after_compensation": "yes"})
        tried = await ended(browser, again.headers["location"])

        assert counts_of(refused) == [1, 0, 0, 1]
        assert "Try again, also after compensations" in refused
        assert "--after-compensation" in tried
        assert "Try again, also" not in tried

    with_console(use, allow=act)


def test_a_group_of_dead_letters_is_redriven_and_selected_ones_are_dropped() -> None:
    """What they have in common is the cause, so they are mended together."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        groups = await browser.get("/dead-letters")
        (link,) = [it for it in read_page(groups.text).links if "cause=" in it]
        group = read_page((await browser.get(link)).text)
        hidden = {
            it.attributes["name"]: it.attributes["value"]
            for it in group.all("input")
            if it.attributes.get("type") == "hidden"
        }
        fields = {**hidden, "verb": "retry", "scope": "all"}
        tried = (await post(browser, "/batches/dead-letters", fields)).headers["location"]
        dry = await ended(browser, tried)
        done = await run(browser, tried)
        await runtime.drain(timeout=60)
        first, second, third = await runtime.dead_letters()
        gone = {"verb": "drop", "scope": "selected", "id": [first.id, third.id, "nothing"]}
        dropping = (await post(browser, "/batches/dead-letters", gone)).headers["location"]
        dropped = await run(browser, dropping) if await ended(browser, dropping) else ""

        assert "all 3 dead letters of the group" in group.text_of("label")
        assert (counts_of(dry), counts_of(done)) == ([3, 3, 0, 0], [3, 3, 0, 0])
        assert "arvo dead-letters redrive --cause" in dry
        assert SECRET not in dry + done + dropped
        assert counts_of(dropped) == [3, 2, 1, 0]
        assert [it.id for it in await runtime.dead_letters()] == [second.id]
        assert len(AUDITS) == 3

    with_console(use, allow=act)


def test_a_workflow_on_which_the_user_may_not_act_is_refused_and_not_named() -> None:
    """The application decides for each one, also in an act on many."""

    def not_waiting(user: str | None, verb: Verb, record: Record | None) -> bool:
        return record is None or record.subject != ORDERS["waits-1"].subject

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        begun = await post(browser, "/batches/workflows", {"verb": "cancel", "scope": "all"})
        dry = await ended(browser, begun.headers["location"])
        done = await run(browser, begun.headers["location"])

        assert counts_of(dry) == counts_of(done) == [3, 2, 0, 1]
        assert "you may not see these" in done
        assert "waits-1" not in dry + done
        assert await active_ids(runtime) == {"waits-1"}

    with_console(use, allow=not_waiting)


@pytest.mark.parametrize(
    ("path", "fields", "status", "text"),
    [
        ("workflows", {"verb": "burn"}, 404, "Expected cancel, revive or migrate"),
        ("workflows", {"verb": "cancel"}, 422, "Select 1 to 1000 rows"),
        ("workflows", {"verb": "cancel", "scope": "all", "quiet": "soon"}, 422, "quiet: expected"),
        ("workflows", {"verb": "cancel", "scope": "all", "status": "done"}, 422, "are active"),
        ("workflows", {"verb": "migrate", "scope": "all"}, 422, "has a version"),
        ("dead-letters", {"verb": "burn"}, 404, "Expected retry or drop"),
        ("dead-letters", {"verb": "drop", "scope": "selected"}, 422, "Nothing is selected"),
    ],
)
def test_what_selects_nothing_or_something_else_is_refused(
    path: str, fields: dict[str, str], status: int, text: str
) -> None:
    """A filter that is left out would act on more than the user means."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await post(browser, f"/batches/{path}", fields)

    answer = with_console(use, allow=act)

    assert answer.status_code == status
    assert text in answer.text


def test_a_user_who_may_only_look_starts_and_stops_nothing() -> None:
    """Also not by an address that is typed by hand, or a job of another user."""
    may_act = [True]

    def allow(user: str | None, verb: Verb, record: Record | None) -> bool:
        return verb in ("see", "see_data") or may_act[0]

    async def use(browser: httpx.AsyncClient, _: Runtime) -> None:
        fields = {"verb": "cancel", "scope": "all"}
        tried = (await post(browser, "/batches/workflows", fields)).headers["location"]
        await ended(browser, tried)
        may_act[0] = False
        answers = [
            await post(browser, "/batches/workflows", fields),
            await post(browser, "/batches/dead-letters", {"verb": "drop", "scope": "all"}),
            *[
                await post(browser, tried.replace("/job", f"/job/{name}"), {"reason": "x"})
                for name in ("run", "again", "stop")
            ],
        ]
        page = await browser.get(tried)
        lists = [await browser.get(it) for it in ("/workflows", "/dead-letters")]

        assert [it.status_code for it in answers] == [403] * 5
        assert "<form" not in page.text.partition("<main")[2].partition("</main>")[0]
        assert all('type="checkbox"' not in it.text for it in lists)

    with_console(use, allow=allow)


class Gate:
    """An `allow` that waits before each workflow is cancelled, until it is opened."""

    def __init__(self) -> None:
        self.waiting = 0
        self.is_open = asyncio.Event()

    async def allow(self, _: str | None, verb: Verb, record: Record | None) -> bool:
        """Allow everything."""
        if verb == "cancel" and record is not None and record.status == "active":
            self.waiting += 1
            await self.is_open.wait()
        return True

    async def until(self, waiting: int) -> None:
        """Wait until so many wait."""
        while self.waiting < waiting:  # noqa: ASYNC110 - a state that nothing announces
            await asyncio.sleep(0.01)


def with_many(
    use: Callable[[httpx.AsyncClient, Runtime, Gate, Any], Awaitable[T]], **operations: Any
) -> T:
    """Use a console over MANY active workflows, whose `allow` waits."""

    async def go() -> T:
        gate = Gate()
        async with Runtime(system, "memory:") as runtime:
            for number in range(MANY):
                await runtime.send(begin(turns, f"order-{number}", Order(500)))
            await runtime.drain(timeout=60)
            client = Runtime(system, Replaced(runtime.backend, **operations))
            app = console(client, allow=gate.allow)
            async with browse(app) as browser:
                return await use(browser, runtime, gate, app)

    return within(go(), 150)


async def try_all(browser: httpx.AsyncClient, gate: Gate) -> str:
    """Return the address of a dry run that has ended."""
    gate.is_open.set()
    fields = {"verb": "cancel", "scope": "all"}
    tried = str((await post(browser, "/batches/workflows", fields)).headers["location"])
    await ended(browser, tried)
    gate.is_open.clear()
    gate.waiting = 0
    return tried


async def start_all(browser: httpx.AsyncClient, gate: Gate) -> str:
    """Return the address of a job of which all have begun that may at a time."""
    tried = await try_all(browser, gate)
    path = tried.replace("/job", "/job/run")
    job = str((await post(browser, path, {"reason": "x"})).headers["location"])
    await gate.until(CONCURRENT_ACTS_MAX)
    return job


def test_a_job_is_stopped_and_says_how_far_it_came() -> None:
    """What has begun is completed, so the counts are true; another dry run takes the rest."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime, gate: Gate, _: Any) -> None:
        job = await start_all(browser, gate)
        running = await browser.get(job)
        await post(browser, job.replace("/job", "/job/stop"), {})
        stopping = await browser.get(job)
        gate.is_open.set()
        stopped = await ended(browser, job)
        again = await post(browser, job.replace("/job", "/job/again"), {})
        left = await ended(browser, again.headers["location"])

        assert 'hx-trigger="every 1s"' in running.text
        assert '<meta http-equiv="refresh" content="2">' in running.text
        read_page(running.text)
        assert "It stops" in stopping.text
        assert f"It was stopped after {CONCURRENT_ACTS_MAX} of {MANY}" in stopped
        assert "every 1s" not in stopped
        assert len(await active_ids(runtime)) == MANY - CONCURRENT_ACTS_MAX
        assert counts_of(left)[1] == MANY - CONCURRENT_ACTS_MAX

    with_many(use)


def test_a_job_that_hangs_is_broken_off() -> None:
    """A backend or an application that does not answer must not hold the place of another job."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime, gate: Gate, _: Any) -> str:
        job = await start_all(browser, gate)
        await post(browser, job.replace("/job", "/job/stop"), {})
        await post(browser, job.replace("/job", "/job/stop"), {})
        return await ended(browser, job)

    assert "It was stopped after 0 of 0" in with_many(use)


def test_the_end_of_the_process_stops_its_jobs(caplog: pytest.LogCaptureFixture) -> None:
    """The log has how far each came; what has begun is completed before the client is closed."""
    caplog.set_level(logging.INFO, "arvo.console")

    async def use(browser: httpx.AsyncClient, runtime: Runtime, gate: Gate, app: Any) -> int:
        async with app.router.lifespan_context(app):
            await start_all(browser, gate)
            asyncio.get_running_loop().call_soon(gate.is_open.set)
        return len(await active_ids(runtime))

    left = with_many(use)

    assert left == MANY - CONCURRENT_ACTS_MAX
    *_, record = [it for it in caplog.records if it.getMessage().endswith("has ended")]
    fields = {name: value for name, value in vars(record).items() if name.startswith("arvo_")}
    assert fields["arvo_outcome"] == "stopped"
    assert (fields["arvo_matched"], fields["arvo_done"]) == (MANY, CONCURRENT_ACTS_MAX)


def test_a_job_that_hangs_does_not_hold_up_the_end_of_the_process() -> None:
    """A supervisor would kill the process."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime, gate: Gate, app: Any) -> str:
        jobs = jobs_of(app)
        jobs.close_seconds = 0.01
        async with app.router.lifespan_context(app):
            job = await start_all(browser, gate)
        return await ended(browser, job)

    assert "It was stopped" in with_many(use)


def jobs_of(app: Any) -> Any:
    """Return the jobs of a console."""
    return app.state.jobs


def test_only_so_many_jobs_run_at_a_time() -> None:
    """Each of them acts on many beside the work of the system."""

    async def use(browser: httpx.AsyncClient, _: Runtime, gate: Gate, app: Any) -> list[int]:
        fields = {"verb": "cancel", "scope": "all"}
        statuses = [
            (await post(browser, "/batches/workflows", fields)).status_code
            for _ in range(RUNNING_MAX + 1)
        ]
        await jobs_of(app).close()
        return statuses

    assert with_many(use) == [303] * RUNNING_MAX + [429]


def test_a_job_whose_backend_fails_says_so() -> None:
    """What is left is acted on by another one, when the backend is there again."""

    async def refuse(*_: Any, **__: Any) -> None:
        raise Unavailable("the disk is full")

    async def use(browser: httpx.AsyncClient, _: Runtime, gate: Gate, app: Any) -> str:
        tried = await try_all(browser, gate)
        gate.is_open.set()
        return await run(browser, tried)

    text = with_many(use, record_act=refuse)

    assert "the disk is full" in text
    assert "It failed after 0 of" in text
    assert "Dry run for what is left" in text


def test_a_job_of_another_process_is_explained() -> None:
    """A bookmark is older than the process."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> list[httpx.Response]:
        return [await browser.get("/job?id=x"), await post(browser, "/job/stop?id=x", {})]

    page, stop = with_console(use, allow=act)

    assert [page.status_code, stop.status_code] == [404, 404]
    assert "may have been started again" in page.text


def test_each_job_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Who did what, when and why is asked later."""
    caplog.set_level(logging.INFO, "arvo.console")

    async def use(browser: httpx.AsyncClient, _: Runtime) -> None:
        fields = {"verb": "cancel", "scope": "all"}
        tried = (await post(browser, "/batches/workflows", fields)).headers["location"]
        await ended(browser, tried)
        await run(browser, tried, "a wrong price")

    with_console(use, allow=act, user=lambda request: "ann")

    begun = [vars(it) for it in caplog.records if it.getMessage().endswith("begins")]
    assert [(it["arvo_dry_run"], it["arvo_reason"], it["arvo_user"]) for it in begun] == [
        (True, "", "ann"),
        (False, "a wrong price", "ann"),
    ]
