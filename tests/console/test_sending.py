"""Sending: a form for any event that the system takes."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx

from arvo import Client, Runtime
from arvo.console import act, console
from arvo.console.requests.security import COOKIE
from tests.console.pages import ReadPage, read_page
from tests.console.stores import SECRET, browse, filled, system, with_console
from tests.interpreters.within import within

T = TypeVar("T")
TURNS = "#/orchestrators/turns/1.0.0"
CHARGE = "#/contracts/charge/1.0.0"
AUDIT = "#/contracts/audit/1.0.0"


def with_form(use: Callable[[httpx.AsyncClient, Runtime], Awaitable[T]]) -> T:
    """Use a console in which everyone may act."""
    return with_console(use, allow=act)


async def post(
    browser: httpx.AsyncClient, path: str, contract: str, **fields: str
) -> httpx.Response:
    """Send a form; two underscores in a name stand for its colon."""
    await browser.get("/")
    given = {name.replace("__", ":"): value for name, value in fields.items()}
    form = {"token": browser.cookies[COOKIE], "contract": contract, **given}
    return await browser.post(path, data=form)


def controls(page: ReadPage) -> dict[str, str]:
    """Return the type of each control of the payload, by its name."""
    kinds = ("input", "select", "textarea")
    return {
        it.attributes["name"]: it.attributes.get("type", it.tag)
        for it in page.elements
        if it.tag in kinds and ":" in it.attributes.get("name", "")
    }


def errors(page: ReadPage) -> dict[str, str]:
    """Return what stands beside each field, by the id of its place."""
    found = {it.attributes.get("id", ""): it.text.strip() for it in page.all("div")}
    return {id_: text for id_, text in found.items() if id_.startswith("error-") and text}


def test_the_form_has_a_control_for_each_field() -> None:
    """A person who is no programmer sends an event without writing JSON."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> ReadPage:
        return read_page((await browser.get("/send", params={"contract": TURNS})).text)

    page = with_form(use)

    # The subject of a parent belongs to the protocol.
    assert controls(page) == {
        "number:amount": "input",
        "text:note": "input",
        "text:pin": "password",
    }
    assert "amount number, required" in page.text_of("label")
    assert {"Send", "Send and wait", "Edit as JSON"} <= {it.text for it in page.all("button")}


def test_an_error_stands_next_to_its_field() -> None:
    """It is found without scripts, by the same check as that of the event that is sent."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> list[httpx.Response]:
        wrong = {"number__amount": "five", "text__note": "a <b>", "text__pin": SECRET}
        before = await runtime.depth()
        answers = [
            await post(browser, "/check", TURNS, **wrong),
            await post(browser, "/send", TURNS, **wrong),
            await post(browser, "/check", TURNS, **{**wrong, "number__amount": "5"}),
            await post(browser, "/check", TURNS, number__amount="5", json__note="{"),
            await post(browser, "/check", TURNS, number__amount="5", to="com.nowhere"),
        ]
        assert await runtime.depth() == before
        return answers

    checked, sent, fitting, broken, elsewhere = with_form(use)

    for answer in (checked, sent):
        page = read_page(answer.text)
        assert answer.status_code == 422
        assert errors(page) == {"error-1": "data.amount: expected a number, got 'five'"}
        assert SECRET not in answer.text
        assert "a &lt;b&gt;" in answer.text
    assert (fitting.status_code, errors(read_page(fitting.text))) == (200, {})
    assert errors(read_page(broken.text))["error-2"].startswith("data.note: expected JSON, got")
    assert elsewhere.status_code == 422
    assert "com.nowhere" in read_page(elsewhere.text).text_of("td")
    assert read_page(elsewhere.text).all("details")[0].attributes == {"open": ""}


def test_what_was_edited_is_edited_further_as_json() -> None:
    """And back; without the secrets, which a page would show as JSON."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> list[httpx.Response]:
        fields = {"number__amount": "7", "text__note": "by hand", "text__pin": SECRET}
        return [
            await post(browser, "/check", TURNS, edit="json", workflow_id="w-1", **fields),
            await post(browser, "/check", TURNS, edit="form", data='{"amount": 8, "more": [1]}'),
            await post(browser, "/check", TURNS, edit="form", data="{"),
        ]

    as_json, as_form, broken = with_form(use)

    page = read_page(as_json.text)
    assert page.text_of("textarea") == '{\n  "amount": 7,\n  "note": "by hand"\n}'
    assert "w-1" in [it.attributes.get("value") for it in page.all("input")]
    assert SECRET not in as_json.text
    assert controls(read_page(as_form.text))["json:more"] == "textarea"
    assert "8" in [it.attributes.get("value") for it in read_page(as_form.text).all("input")]
    assert "JSON" in read_page(broken.text).text_of("td")


def test_a_workflow_that_was_sent_is_waited_for() -> None:
    """The page that follows shows how it ended."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> httpx.Response:
        sent = await post(
            browser, "/send", TURNS, number__amount="5", workflow_id="form-1", wait="yes"
        )
        record = await runtime.record("form-1")
        assert record is not None
        assert record.status == "done"
        return await browser.get(sent.headers["location"])

    assert with_form(use).headers["location"].endswith("done=send")


def test_the_answer_of_a_handler_is_shown() -> None:
    """A service can be tried out without a workflow, and what is secret in its answer is hidden."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> list[httpx.Response]:
        return [
            await post(browser, "/send", CHARGE, number__amount="5", text__pin=SECRET, wait="yes"),
            await post(browser, "/send", CHARGE, number__amount="500", wait="yes"),
        ]

    answered, silent = with_form(use)

    assert "Answer evt.bank.charged" in read_page(answered.text).text_of("h1")
    assert "r-5" in answered.text
    assert SECRET not in answered.text
    assert "No answer" in read_page(silent.text).text_of("h1")


def test_a_client_that_runs_nothing_gets_no_answer_of_a_handler() -> None:
    """The answer goes to the process that delivers it."""

    async def go() -> list[ReadPage]:
        async with filled() as runtime:
            app = console(Client(system, runtime.backend))
            async with browse(app) as browser:
                return [
                    read_page((await browser.get("/send", params={"contract": it})).text)
                    for it in (AUDIT, TURNS)
                ]

    handler, workflow = within(go(), 150)

    # It is read only as well.
    assert [it.text for it in handler.all("button")][2:4] == ["Check", "Edit as JSON"]
    assert "Send" not in [it.text for it in workflow.all("button")]
