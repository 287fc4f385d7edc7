"""Schedules: an operator sees when each is due, and acts on it by forms."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date, time, timedelta
from typing import Any, Final

import httpx
import orjson
import pytest

from arvo import Calendar, Cron, Every, Runtime, System, every
from arvo.console import act, console
from arvo.console.views.schedules.schedules import NEXT_MAX, spec_text
from arvo.handlers.schedule.plan import ScheduleState
from arvo.interpreters.http.workflow_json import to_path
from tests.console.pages import read_page
from tests.console.stores import SECRET, Order, bank, browse, resumable, turns
from tests.console.test_actions import fill
from tests.interpreters.within import within

# Far away, so that no occurrence is due while a test runs.
YEARLY: Final = Cron("0 9 1 1 *", tz="Europe/Berlin")
daily: Final = every(turns["1.0.0"], YEARLY, Order(10, pin=SECRET), name="reports.daily")
system: Final = System([bank, resumable, daily])
WHY: Final = {"reason": "the printer burns"}


@asynccontextmanager
async def scheduled() -> AsyncIterator[tuple[Runtime, httpx.AsyncClient]]:
    """Yield a runtime with a schedule, and a browser of its console."""
    async with Runtime(system, "memory:") as runtime, browse(console(runtime, allow=act)) as tab:
        await runtime.drain(timeout=60)
        yield runtime, tab


async def path_of(runtime: Runtime, verb: str) -> str:
    """Return the address of a form."""
    return f"/act/{verb}/{to_path(await runtime.find_subject('reports.daily'))}"


async def state_of(runtime: Runtime) -> ScheduleState:
    """Return the state of the schedule, when all that was sent is done."""
    await runtime.drain(timeout=60)
    state = await runtime.query("reports.daily")
    assert isinstance(state, ScheduleState)
    return state


def test_the_page_lists_when_each_schedule_is_due() -> None:
    """The next five, and what became of those before; a payload is on no page."""

    async def go() -> tuple[httpx.Response, list[httpx.Response]]:
        async with scheduled() as (runtime, browser):
            subject = to_path(await runtime.find_subject("reports.daily"))
            tabs = ("", "?tab=state", "?tab=history", "?tab=travel")
            shown = await browser.get("/schedules")
            return shown, [await browser.get(f"/workflows/{subject}{tab}") for tab in tabs]

    listed, pages = within(go(), 150)

    page = read_page(listed.text)
    assert "0 9 1 1 * (Europe/Berlin)" in listed.text
    assert len(page.all("time")) == NEXT_MAX
    assert "0 begun, 0 completed, 0 failed, 0 skipped, 0 missed" in listed.text
    labels = [it.attributes["aria-label"] for it in page.all("a") if "data-dialog" in it.attributes]
    verbs = ("Pause", "Trigger", "Backfill", "Update", "Delete")
    assert labels == [f"{verb} reports.daily" for verb in verbs]
    assert "Pause…" in pages[0].text
    assert "Send signal…" not in pages[0].text
    assert [it.status_code for it in pages] == [200] * 4
    assert not any(SECRET in it.text for it in (listed, *pages))


def test_each_act_has_a_form_that_does_it() -> None:
    """Each one with a reason, which the audit log has with the user."""

    async def go() -> None:
        async with scheduled() as (runtime, browser):

            async def do(verb: str, **form: str) -> httpx.Response:
                shown, done = await fill(browser, await path_of(runtime, verb), {**WHY, **form})
                read_page(shown.text)
                assert "arvo " in shown.text
                return done

            assert (await do("pause")).status_code == 303
            assert (await state_of(runtime)).paused == "the printer burns"
            assert "paused</strong>: the printer burns" in (await browser.get("/schedules")).text
            await do("resume")
            assert (await state_of(runtime)).paused is None
            await do("trigger")
            assert (await state_of(runtime)).counts.completed == 1
            await do("backfill", start="2020-06-01", end="2022-06-01T09:00")
            state = await state_of(runtime)
            assert (state.backfills, state.counts.completed) == ((), 3)
            await do("delete")
            await runtime.drain(timeout=60)
            record = await runtime.record("reports.daily")
            assert record is not None
            assert record.status == "done"
            acts = [(it.actor, it.reason) for it in await runtime.audit_log()]
            assert acts == [("arvo.console.form", "the printer burns")] * 5

    within(go(), 150)


def test_a_plan_is_edited_without_its_payload() -> None:
    """The payload may have secrets, so it is not in the form, and stays as it was."""

    async def go() -> tuple[str, ScheduleState, ScheduleState]:
        async with scheduled() as (runtime, browser):
            path = await path_of(runtime, "update")
            before, form = await state_of(runtime), await browser.get(path)
            plan = orjson.loads(read_page(form.text).text_of("textarea"))
            plan["spec"] = {"kind": "cron", "expression": "0 8 1 1 *", "tz": "UTC"}
            _, done = await fill(browser, path, {**WHY, "plan": orjson.dumps(plan).decode()})
            assert done.status_code == 303
            return form.text, before, await state_of(runtime)

    form, before, after = within(go(), 150)

    assert SECRET not in form
    assert "payload" not in read_page(form).text_of("textarea")
    assert after.plan.spec == Cron("0 8 1 1 *")
    assert after.plan.payload == before.plan.payload


@pytest.mark.parametrize(
    ("verb", "form", "problem"),
    [
        ("pause", {"reason": ""}, "reason: expected why you do this"),
        ("backfill", {"start": "soon", "end": "2020-01-01"}, "start: expected a date"),
        ("backfill", {"start": "2020-01-02", "end": "2020-01-01"}, "end: expected later"),
        ("update", {"plan": "{"}, "plan: expected a plan as JSON"),
        ("update", {"plan": "[]"}, "plan"),
        (
            "update",
            {"plan": '{"spec": {"kind": "cron", "expression": "x"}}'},
            "plan.spec: expected",
        ),
    ],
)
def test_what_cannot_be_done_is_reported_in_the_form(
    verb: str, form: Mapping[str, str], problem: str
) -> None:
    """The operator keeps the page, and nothing was sent."""

    async def go() -> tuple[httpx.Response, Any]:
        async with scheduled() as (runtime, browser):
            before = await runtime.record("reports.daily")
            _, refused = await fill(browser, await path_of(runtime, verb), {**WHY, **form})
            await runtime.drain(timeout=60)
            return refused, before == await runtime.record("reports.daily")

    refused, is_same = within(go(), 150)

    assert refused.status_code == 422
    # What was typed is still there.
    assert all(it in refused.text for it in form.values() if '"' not in it)
    assert problem in read_page(refused.text).text_of("p")
    assert is_same


def test_acts_need_the_verb_send_and_a_schedule() -> None:
    """A schedule takes signals, and other workflows are none."""

    async def go() -> list[int]:
        async with scheduled() as (runtime, browser):
            await runtime.send(turns["1.0.0"].init(Order(10), source="com.a.b", workflow_id="o-1"))
            await runtime.drain(timeout=60)
            other = to_path(await runtime.find_subject("o-1"))
            found = [(await browser.get(f"/act/pause/{other}")).status_code]
            async with browse(console(runtime)) as reader:
                page = read_page((await reader.get("/schedules")).text)
                assert not [it for it in page.all("a") if "data-dialog" in it.attributes]
                found.append((await reader.get(await path_of(runtime, "pause"))).status_code)
            return found

    assert within(go(), 150) == [404, 403]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (Every(minutes=5, offset=timedelta(minutes=1)), "every 0:05:00 at 0:01:00"),
        (Calendar(at=(time(9), time(17, 30)), days=(-1,)), "at 09:00, 17:30 days -1 (UTC)"),
        (
            Calendar(at=time(9), weekdays=("MON",), without=(date(2026, 1, 5),)),
            "at 09:00 on MON without 1 dates (UTC)",
        ),
    ],
)
def test_a_spec_is_shown_in_words(spec: Every | Calendar, text: str) -> None:
    """A reader of the list need not know the class."""
    assert spec_text(spec) == text
