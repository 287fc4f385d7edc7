"""Actions: what a person does by a form has the effect that the form names."""

import logging
from collections.abc import Mapping

import httpx
import orjson
import pytest

from arvo import Runtime
from arvo.console import act
from arvo.console.requests.security import COOKIE
from arvo.interpreters.http.workflow_json import to_path
from arvo.printable import printable
from tests.console.pages import read_page
from tests.console.stores import HOSTILE, LARGE, ORDERS, SECRET, with_console

WHY = {"reason": "a test"}


def path_of(verb: str, key: str) -> str:
    """Return the address of a form."""
    return f"/act/{verb}/{to_path(ORDERS[key].subject)}"


async def fill(
    browser: httpx.AsyncClient, path: str, fields: Mapping[str, str]
) -> tuple[httpx.Response, httpx.Response]:
    """Open a form, and send it as a browser does; return the form and the answer."""
    form = await browser.get(path)
    # httpx keeps the cookie of the first page.
    token = browser.cookies[COOKIE]
    assert f'name="token" value="{token}"' in form.text
    return form, await browser.post(path, data={"token": token, **fields})


def test_a_workflow_is_cancelled_with_a_reason() -> None:
    """The form says what will happen, and refuses to do it without a reason."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        path = path_of("cancel", "waits-1")
        form, refused = await fill(browser, path, {"reason": "  "})
        _, done = await fill(browser, path, {"reason": "the customer called"})
        shown = await browser.get(done.headers["location"])
        await runtime.drain(timeout=60)
        record = await runtime.record("waits-1")

        assert "It has no children." in form.text
        assert "arvo cancel" in form.text
        assert refused.status_code == 422
        assert "reason: expected why you do this, got nothing" in refused.text
        assert done.status_code == 303
        assert "The cancellation was sent." in shown.text
        assert record is not None
        assert record.status == "cancelled"
        read_page(form.text)
        read_page(refused.text)

    with_console(use, allow=act)


def test_a_failed_workflow_is_revived() -> None:
    """Its code or its services were mended meanwhile."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        form, done = await fill(browser, path_of("revive", "failed-1"), WHY)
        record = await runtime.record("failed-1")
        wrong = await browser.post(
            path_of("revive", "done-1"), data={"token": browser.cookies[COOKIE], **WHY}
        )

        assert SECRET not in form.text
        assert done.status_code == 303
        assert record is not None
        assert record.revivals == 1
        assert wrong.status_code == 422
        assert 'role="alert"' in wrong.text

    with_console(use, allow=act)


def test_a_workflow_is_migrated() -> None:
    """Old versions end when the last workflow has left them."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        form, done = await fill(browser, path_of("migrate", "waits-1"), {"to": "2.0.0", **WHY})
        record = await runtime.record("waits-1")

        assert [it.text for it in read_page(form.text).all("option")][-1:] == ["2.0.0"]
        assert done.status_code == 303
        assert record is not None
        assert record.version == "2.0.0"

    with_console(use, allow=act)


def test_a_workflow_is_signalled() -> None:
    """A person approves what the workflow waits for."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        path = path_of("signal", "chart-1")
        signal = {"type": "com.shop.approve", "data": '{"by": "ann"}', **WHY}
        _, wrong = await fill(browser, path, {**signal, "data": "{"})
        _, unfit = await fill(browser, path, {**signal, "data": '{"by": 1}'})
        _, done = await fill(browser, path, signal)
        await runtime.drain(timeout=60)
        record = await runtime.record("chart-1")

        assert [wrong.status_code, unfit.status_code, done.status_code] == [422, 422, 303]
        assert "data.by: expected" in unfit.text
        assert record is not None
        assert record.status == "done"

    with_console(use, allow=act)


def test_a_dead_letter_is_redriven_or_dropped() -> None:
    """The operator reads why it failed, and decides."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        first, second, third = await runtime.dead_letters()
        read_page((await browser.get(f"/act-dead-letter?id={first.id}&verb=drop")).text)
        _, dropped = await fill(browser, f"/act-dead-letter?id={first.id}&verb=drop", WHY)
        _, redriven = await fill(browser, f"/act-dead-letter?id={second.id}&verb=retry", WHY)
        gone = await browser.get(f"/act-dead-letter?id={first.id}&verb=drop")
        nothing = await browser.get(f"/act-dead-letter?id={third.id}&verb=burn")
        await runtime.drain(timeout=60)
        left = await runtime.dead_letters()

        assert [dropped.status_code, redriven.status_code] == [303, 303]
        assert [gone.status_code, nothing.status_code] == [404, 404]
        # What was redriven has failed once more.
        assert first.id not in {it.id for it in left}
        assert {it.event.id for it in left} == {second.event.id, third.event.id}

    with_console(use, allow=act)


def test_an_event_is_checked_and_sent() -> None:
    """A form that takes what the system refuses would teach nothing."""
    contract = "#/orchestrators/turns/1.0.0"
    form = {"contract": contract, "workflow_id": "sent-1", "data": '{"amount": 5}'}

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        page = await browser.get("/send", params={"contract": contract, "edit": "json"})
        sample = orjson.loads(read_page(page.text).text_of("textarea"))
        token = browser.cookies[COOKIE]
        wrong = {**form, "token": token, "data": '{"amount": "five"}'}
        checked = await browser.post("/check", data={**form, "token": token})
        refused = await browser.post("/check", data=wrong)
        not_sent = await browser.post("/send", data=wrong)
        sent = await browser.post("/send", data={**form, "token": token})
        await runtime.drain(timeout=60)
        begun = await browser.get(sent.headers["location"])
        again = await browser.post("/send", data={**form, "token": token, "data": '{"amount": 6}'})
        unknown = await browser.post("/send", data={**form, "token": token, "contract": "x"})

        assert sample["amount"] >= 0
        assert checked.status_code == 200
        assert [refused.status_code, not_sent.status_code] == [422, 422]
        assert "a number" in read_page(refused.text).text_of("td")
        assert sent.status_code == 303
        assert begun.headers["location"].startswith("/workflows/")
        assert again.status_code == 422
        assert unknown.status_code == 404

    with_console(use, allow=act)


def test_an_event_that_begins_no_workflow_is_sent() -> None:
    """Not every handler has a page to lead to."""
    form = {"contract": "#/contracts/audit/1.0.0", "data": '{"amount": 5, "note": "by hand"}'}

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> tuple[str, int]:
        await browser.get("/")
        answer = await browser.post("/send", data={**form, "token": browser.cookies[COOKIE]})
        await runtime.drain(timeout=60)
        return answer.headers["location"], len(await runtime.dead_letters())

    assert with_console(use, allow=act) == ("/?done=send", 4)


def test_each_act_is_on_the_page_of_activity() -> None:
    """Who did what, when and why is asked later."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        (first, *_) = await runtime.dead_letters()
        await fill(browser, path_of("migrate", "waits-1"), {"to": "2.0.0", "reason": HOSTILE[:20]})
        await fill(browser, f"/act-dead-letter?id={first.id}&verb=drop", {"reason": "spam"})
        page = await browser.get("/activity")
        rows = read_page(page.text).text_of("td")

        assert "migrate to 2.0.0" in rows
        assert "ann" in rows
        assert "spam" in rows
        assert "&lt;img src=x" in page.text

    with_console(use, allow=act, user=lambda request: "ann")


def test_each_act_is_logged_before_it_happens(caplog: pytest.LogCaptureFixture) -> None:
    """Who did what, when and why is asked later."""
    caplog.set_level(logging.INFO, "arvo.console")

    async def use(browser: httpx.AsyncClient, _: Runtime) -> None:
        await fill(browser, path_of("cancel", "waits-1"), {"reason": HOSTILE})

    with_console(use, allow=act, user=lambda request: "ann")

    (record,) = [it for it in caplog.records if it.name == "arvo.console"]
    assert record.getMessage() == "an operator acts by the console"
    assert (record.arvo_verb, record.arvo_user) == ("cancel", "ann")  # type: ignore[attr-defined]
    assert record.arvo_subject == ORDERS["waits-1"].subject  # type: ignore[attr-defined]
    assert record.arvo_reason == printable(HOSTILE)  # type: ignore[attr-defined]


def test_an_action_that_no_workflow_has_is_refused() -> None:
    """An address is typed by hand as well."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> list[int]:
        await browser.get("/")
        form = {"token": browser.cookies[COOKIE]}
        paths = [path_of("burn", "done-1"), f"/act/cancel/{to_path(LARGE.subject)}"]
        return [(await browser.post(path, data=form)).status_code for path in paths]

    assert with_console(use, allow=act) == [404, 404]


def test_a_failed_workflow_is_forked_from_the_revision_before() -> None:
    """The time-travel page leads to the form; the page of the new one says where it comes from."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        subject = ORDERS["failed-1"].subject
        page = await browser.get(f"/workflows/{to_path(subject)}?tab=travel&revision=1")
        [link] = [it for it in read_page(page.text).all("a") if it.text == "Fork from here…"]
        form, wrong = await fill(browser, path_of("fork", "failed-1"), {"at": "x", **WHY})
        _, late = await fill(browser, path_of("fork", "failed-1"), {"at": "9", **WHY})
        _, done = await fill(
            browser, path_of("fork", "failed-1"), {"at": "1", "id": "forked-1", **WHY}
        )
        await runtime.drain(timeout=60)
        record = await runtime.record("forked-1")
        shown = await browser.get("/workflows/forked-1")
        history = await browser.get("/workflows/forked-1?tab=history")
        lines = await browser.get(f"/history/{to_path(record.subject)}") if record else None
        begin = await browser.get("/workflows/forked-1?tab=event&position=0")

        assert link.attributes["href"].endswith("?at=1")
        assert "arvo fork" in form.text
        assert [wrong.status_code, late.status_code, done.status_code] == [422, 422, 303]
        assert "at: expected a revision from 1 to 2" in late.text
        assert record is not None
        assert done.headers["location"].startswith("/sent?subject=")
        assert "Forked from" in shown.text
        assert "failed-1" in shown.text
        assert "revision 1" in shown.text
        for answer in (shown, history, lines, begin):
            assert answer is not None
            assert SECRET not in answer.text
        assert "•••" in begin.text

    with_console(use, allow=act)


def test_no_form_forks_for_a_user_who_may_not() -> None:
    """The verb is one of its own."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        del runtime
        subject = ORDERS["failed-1"].subject
        page = await browser.get(f"/workflows/{to_path(subject)}?tab=travel&revision=1")
        form = await browser.get(path_of("fork", "failed-1"))

        assert "Fork" not in page.text
        assert form.status_code == 403

    with_console(use, allow=lambda user, verb, record: verb != "fork")


def test_a_turn_is_taken_again_with_another_event_and_nothing_is_stored() -> None:
    """What would have happened: other data, other events, another state; the secret stays."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        subject = ORDERS["done-1"].subject
        before = await runtime.history(subject)
        path = f"/what-if/{to_path(subject)}"
        travel = await browser.get(f"/workflows/{to_path(subject)}?tab=travel&revision=1")
        [link] = [it for it in read_page(travel.text).all("a") if it.text == "What if…"]
        form = await browser.get(link.attributes["href"])
        [area] = read_page(form.text).all("textarea")
        shown = orjson.loads(area.text)
        token = {"token": browser.cookies[COOKIE]}
        same = await browser.post(f"{path}?revision=1", data={**token, "data": area.text})
        edited = orjson.dumps({**shown, "amount": 7.5}).decode()
        other = await browser.post(f"{path}?revision=1", data={**token, "data": edited})
        wrong = await browser.post(
            f"{path}?revision=1", data={**token, "data": '{"amount": "much"}'}
        )
        broken = await browser.post(f"{path}?revision=1", data={**token, "data": "{"})
        forged = await browser.post(f"{path}?revision=1", data={"data": area.text})
        answers = (form, same, other, wrong, broken)

        assert shown["pin"] == "•••"
        for unchanged in (form, same):
            assert "The same as it did" in unchanged.text
        assert "state.amount" in other.text
        assert "sent[0].data.amount" in other.text
        assert "7.5" in other.text
        # The secret was taken as it was, so it does not differ.
        assert "data.pin" not in other.text
        assert "data.amount" in wrong.text
        assert [wrong.status_code, broken.status_code, forged.status_code] == [422, 422, 403]
        for answer in answers:
            assert SECRET not in answer.text
            read_page(answer.text)
        assert await runtime.history(subject) == before
        assert await runtime.dead_letters() is not None

    with_console(use, allow=act)


def test_what_if_needs_the_right_to_see_data() -> None:
    """The form has the data of an event."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        del runtime
        subject = to_path(ORDERS["done-1"].subject)
        travel = await browser.get(f"/workflows/{subject}?tab=travel&revision=1")
        form = await browser.get(f"/what-if/{subject}?revision=1")

        assert "What if" not in travel.text
        assert form.status_code == 403

    with_console(use, allow=lambda user, verb, record: verb == "see")


def test_an_event_of_any_characters_comes_back_from_its_form_as_it_was() -> None:
    """Markup, escape codes and a text that copies a secret."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        del runtime
        for key in ORDERS:
            path = f"/what-if/{to_path(ORDERS[key].subject)}?revision=1"
            form = await browser.get(path)
            if form.status_code == 404:
                continue
            [area] = read_page(form.text).all("textarea")
            token = {"token": browser.cookies[COOKIE]}
            again = await browser.post(path, data={**token, "data": area.text})
            first, second = (page.text.partition('id="result"')[2] for page in (form, again))

            assert first == second
            assert SECRET not in form.text + again.text

    with_console(use, allow=act)
