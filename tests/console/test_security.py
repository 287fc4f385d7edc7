"""Security: who may look and act, and what no page and no other site can do."""

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount

from arvo import Record, Runtime
from arvo.console import Verb, act, console, proxy_user
from arvo.console.requests.security import COOKIE, HEADERS, OnlyHosts
from arvo.interpreters.http.workflow_json import to_path
from tests.console.pages import read_page
from tests.console.stores import ORDERS, SECRET, browse, filled, with_console
from tests.interpreters.within import within

FORM = {"contract": "#/contracts/charge/1.0.0", "data": '{"amount": 1}'}
FORM_CONTRACT = "%23/contracts/charge/1.0.0"
WORKFLOW = f"/workflows/{to_path(ORDERS['waits-1'].subject)}"
CANCEL = f"/act/cancel/{to_path(ORDERS['waits-1'].subject)}"


def answers_of(*paths: str, headers: dict[str, str] | None = None, **options: Any) -> Any:
    """Get pages, one after the other."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> list[httpx.Response]:
        return [await browser.get(path, headers=headers) for path in paths]

    return with_console(use, **options)


def test_every_response_has_the_security_headers() -> None:
    """A page without the policy would run a script that a payload brings."""
    answers = answers_of(
        "/", "/nowhere", "/assets/console.js", "/search?q=", CANCEL, "/dead-letter?id=x"
    )

    assert [it.status_code for it in answers] == [200, 404, 200, 303, 403, 404]
    for answer in answers:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in HEADERS["content-security-policy"]
    assert answers[0].headers["cache-control"] == "no-store"
    assert answers[2].headers["cache-control"].startswith("max-age=")


def test_a_page_that_fails_shows_no_trace() -> None:
    """A trace shows the inside of the application."""

    def broken(user: str | None, verb: Verb, record: Record | None) -> bool:
        raise RuntimeError(f"no decision on {SECRET}")

    (answer,) = answers_of("/", allow=broken)

    assert answer.status_code == 500
    assert answer.text == "internal error, see the log of the server"
    assert answer.headers["content-security-policy"] == HEADERS["content-security-policy"]


def test_it_is_read_only_by_default() -> None:
    """Pages that a person leaves open must not be able to change anything."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> list[httpx.Response]:
        page = await browser.get(WORKFLOW)
        token = page.cookies[COOKIE]
        form = {"token": token, "reason": "x", **FORM}
        acts = [await browser.post(path, data=form) for path in (CANCEL, "/send")]
        gets = [await browser.get(path) for path in (CANCEL, f"/send?contract={FORM_CONTRACT}")]
        return [page, *gets, *acts]

    page, form, send_page, cancel, send = with_console(use)

    assert "/act/" not in page.text
    assert [form.status_code, cancel.status_code, send.status_code] == [403, 403, 403]
    assert "You may not send here" in send.text
    assert "This console is read only" in read_page(send_page.text).text_of("main")


@pytest.mark.parametrize(
    ("headers", "sent", "status"),
    [
        ({}, "own", 303),
        ({"sec-fetch-site": "same-origin"}, "own", 303),
        ({"origin": "http://127.0.0.1"}, "own", 303),
        ({"sec-fetch-site": "cross-site"}, "own", 403),
        ({"sec-fetch-site": "same-site"}, "own", 403),
        ({"origin": "http://evil.example"}, "own", 403),
        ({"origin": "null"}, "own", 403),
        ({}, "another", 403),
        ({}, "", 403),
    ],
)
def test_only_a_form_of_the_console_can_act(
    headers: dict[str, str], sent: str, status: int
) -> None:
    """A page of another site can post a form in the name of a person who is signed in."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> tuple[int, str]:
        page = await browser.get(CANCEL)
        token = {"own": page.cookies[COOKIE]}.get(sent, sent)
        form = {"token": token, "reason": "a test"}
        answer = await browser.post(CANCEL, data=form, headers=headers)
        await runtime.drain(timeout=60)
        record = await runtime.record("waits-1")
        assert record is not None
        return answer.status_code, record.status

    assert with_console(use, allow=act) == (status, "cancelled" if status == 303 else "active")


def test_a_form_without_the_cookie_does_nothing() -> None:
    """The token alone is what another site would guess."""

    async def go() -> int:
        async with filled() as runtime, browse(console(runtime, allow=act)) as browser:
            token = (await browser.get(CANCEL)).cookies[COOKIE]
            browser.cookies.clear()
            form = {"token": token, "reason": "x"}
            return (await browser.post(CANCEL, data=form)).status_code

    assert within(go()) == 403


def test_the_cookie_is_for_the_console_alone() -> None:
    """No script reads it, and no other site sends it."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> list[httpx.Response]:
        return [await browser.get("/"), await browser.get("/workflows")]

    first, second = with_console(use)

    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "set-cookie" not in second.headers


def test_a_form_that_is_none_or_too_large_is_refused() -> None:
    """A body without an end must not fill the memory."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> list[int]:
        kinds = {"content-type": "application/x-www-form-urlencoded"}
        answers = [
            await browser.post("/send", json=FORM),
            await browser.post("/send", content=b"x=" + b"a" * 5_000_000, headers=kinds),
            await browser.post("/send", content=b"a&" * 2_000, headers=kinds),
            await browser.post("/send", content=b"\xff\xfe", headers=kinds),
        ]
        return [it.status_code for it in answers]

    assert with_console(use, allow=act) == [415, 413, 400, 400]


def test_a_proxy_names_the_user() -> None:
    """Behind a proxy that authenticates, a request without a name has passed it by."""
    (nameless,) = answers_of("/", user=proxy_user)
    (named,) = answers_of("/", user=proxy_user, headers={"x-forwarded-user": "<ann>"})
    (untrusted,) = answers_of("/", headers={"x-forwarded-user": "ann"})
    (stream,) = answers_of("/changes", user=proxy_user)

    assert [nameless.status_code, named.status_code, stream.status_code] == [401, 200, 401]
    assert '<span class="user">&lt;ann&gt;</span>' in named.text
    assert 'class="user"' not in untrusted.text


def test_the_application_decides_for_each_workflow() -> None:
    """A team sees its own workflows, and not those of another."""

    def not_waiting(user: str | None, verb: Verb, record: Record | None) -> bool:
        return record is None or record.subject != ORDERS["waits-1"].subject

    listed, hidden, form, open_ = answers_of(
        "/workflows", WORKFLOW, CANCEL, CANCEL.replace("waits-1", "done-1"), allow=not_waiting
    )

    assert "waits-1" not in read_page(listed.text).text_of("main")
    assert [hidden.status_code, form.status_code] == [403, 403]
    assert open_.status_code == 403


def test_what_operators_did_to_a_hidden_workflow_is_hidden() -> None:
    """The reason of an act says as much as the page of the workflow."""

    def not_waiting(user: str | None, verb: Verb, record: Record | None) -> bool:
        return record is None or record.subject != ORDERS["waits-1"].subject

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> httpx.Response:
        await runtime.cancel("waits-1", "a private reason")
        await runtime.cancel("chart-1", "a public reason")
        return await browser.get("/activity")

    answer = with_console(use, allow=not_waiting)

    assert "a public reason" in answer.text
    assert "a private reason" not in answer.text


def test_a_user_who_may_not_see_data_sees_its_shape() -> None:
    """Support sees that an order waits, and not the address of the customer."""

    def no_data(user: str | None, verb: Verb, record: Record | None) -> bool:
        return verb == "see"

    path = f"/workflows/{to_path(ORDERS['failed-1'].subject)}"
    tabs = ["", "history", "state", "chart", "travel", "replay", "event&position=0"]
    answers = answers_of(*(f"{path}?tab={tab}" for tab in tabs), "/dead-letters", allow=no_data)

    assert {it.status_code for it in answers} == {200}
    for answer in answers:
        assert "13.0" not in read_page(answer.text).text_of("pre")
        assert SECRET not in answer.text
        assert "unexpected" not in answer.text
    assert '"amount": "number"' in read_page(answers[2].text).text_of("pre")


@pytest.mark.parametrize("answer", [None, 1, "yes", False])
def test_only_true_allows(answer: Any) -> None:
    """A function that forgets to return must not open the door."""
    (page,) = answers_of("/", allow=lambda user, verb, record: answer)

    assert page.status_code == 403


def test_allow_may_be_asynchronous() -> None:
    """The application asks a service of its own."""

    async def allow(user: str | None, verb: Verb, record: Record | None) -> bool:
        return verb == "see"

    (page,) = answers_of("/", allow=allow)

    assert page.status_code == 200


def test_a_mounted_console_stays_below_its_path() -> None:
    """Its links, its assets and its cookie belong to the path that the application gives it."""

    async def go() -> tuple[httpx.Response, httpx.Response]:
        async with filled() as runtime:
            app = Starlette(routes=[Mount("/ops/arvo", console(runtime))])
            async with browse(app) as browser:
                return await browser.get("/ops/arvo/"), await browser.get("/ops/arvo/workflows")

    first, second = within(go())

    for answer in (first, second):
        links = read_page(answer.text).links
        assert {it for it in links if not it.startswith(("/ops/arvo/", "#"))} == set()
    assert "Path=/ops/arvo/" in first.headers["set-cookie"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8300", 200),
        ("localhost", 200),
        ("[::1]:8300", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:8300", 403),
        ("", 403),
        ("[", 403),
    ],
)
def test_another_name_for_this_machine_is_refused(host: str, status: int) -> None:
    """A site can give its own name this machine's address, and read what it serves."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Response("ok")(scope, receive, send)

    async def go() -> int:
        async with browse(OnlyHosts(app)) as browser:
            return (await browser.get("/", headers={"host": host})).status_code

    assert within(go()) == status


def test_a_user_source_reads_the_request() -> None:
    """An application may know its users by a cookie or a client certificate."""

    def user(request: Request) -> str | None:
        return request.headers.get("x-client")

    (page,) = answers_of("/", user=user, headers={"x-client": "bob"})

    assert '<span class="user">bob</span>' in page.text
