"""Edits: the data of a dead letter are mended in a form, which never has a secret."""

from typing import Any

import httpx
import orjson
import pytest

from arvo import Client, DeadLetter, Record, Runtime, System
from arvo.console import Verb, act, console
from arvo.console.requests.security import COOKIE
from arvo.console.views.secrets import Redaction
from arvo.console.views.sending.edit import check_fields, restore
from arvo.core.violations.issue import Issue, Issues
from arvo.engine.system.schemas import Schemas
from tests.console.pages import read_page
from tests.console.stores import HOSTILE, SECRET, WEB, Order, audit, browse, system, with_console
from tests.interpreters.inside import send_inside
from tests.interpreters.within import within


async def first_of(browser: httpx.AsyncClient, runtime: Runtime) -> tuple[DeadLetter, str]:
    """Return the oldest dead letter, and the address of the form."""
    await browser.get("/")
    (found, *_) = await runtime.dead_letters()
    return found, f"/edit-dead-letter?id={found.id}"


async def post(browser: httpx.AsyncClient, path: str, data: Any, reason: str = "x") -> Any:
    """Send the form."""
    text = data if isinstance(data, str) else orjson.dumps(data).decode()
    token = browser.cookies[COOKIE]
    return await browser.post(path, data={"token": token, "data": text, "reason": reason})


def data_of(page: httpx.Response) -> dict[str, Any]:
    """Return the data in a form, as a person would edit them."""
    data: dict[str, Any] = orjson.loads(read_page(page.text).text_of("textarea"))
    return data


def test_a_dead_letter_is_redriven_with_other_data_and_its_own_secret() -> None:
    """The event has a new id; the secret and the texts that were left are the same as before."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        found, path = await first_of(browser, runtime)
        shown = await browser.get(f"/dead-letter?id={found.id}")
        form = await browser.get(path)
        edited = {**data_of(form), "amount": 9}
        unfit = await post(browser, path, {**edited, "amount": "nine"})
        checked = await post(browser, path.replace("edit", "check", 1), edited)
        no_reason = await post(browser, path, edited, " ")
        untouched = await runtime.dead_letters()
        done = await post(browser, path, edited, "a wrong amount")
        await runtime.drain(timeout=60)
        again = (await runtime.dead_letters())[-1].event
        (entry, *_) = await runtime.audit_log()

        assert path in read_page(shown.text).links
        assert edited == {"amount": 9, "note": HOSTILE, "pin": "•••"}
        assert unfit.status_code == 422
        assert "data.amount: expected a number" in read_page(unfit.text).text_of("td")
        assert read_page(unfit.text).all("textarea")[0].text.find("nine") > 0
        assert (checked.status_code, no_reason.status_code) == (200, 422)
        assert "The data fit." in checked.text
        assert found in untouched
        assert done.headers["location"] == "/dead-letters?done=edit"
        assert again.raw == {"amount": 9, "note": HOSTILE, "pin": SECRET}
        assert (again.id != found.event.id, again.parentid) == (True, found.event.parentid)
        assert (entry.verb, entry.detail) == ("redrive", f"edited as {again.id}")
        for page in (shown, form, unfit, checked, no_reason):
            read_page(page.text)
            assert SECRET not in page.text

    with_console(use, allow=act)


def test_a_text_that_copies_a_secret_is_left_or_replaced_as_a_whole() -> None:
    """A mark that is moved, or whose text is changed, stands for no value: it is refused."""
    event = audit["1.0.0"].accepts(
        Order(1, f"pay with {SECRET} now", SECRET), source=WEB, subject="copied"
    )

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        await runtime.send(event)
        await runtime.drain(timeout=60)
        found = (await runtime.dead_letters())[-1]
        await browser.get("/")
        path = f"/edit-dead-letter?id={found.id}"
        data = data_of(await browser.get(path))
        moved = await post(browser, path, {**data, "note": "•••"})
        changed = await post(browser, path, {**data, "note": f"{data['note']} please"})
        await post(browser, path, {**data, "amount": 2})
        await runtime.drain(timeout=60)
        again = (await runtime.dead_letters())[-1].event

        assert data["note"] == "pay with ••• now"
        assert (moved.status_code, changed.status_code) == (422, 422)
        assert "data.note: expected no •••" in read_page(moved.text).text_of("td")
        assert again.raw == {**event.raw, "amount": 2}

    with_console(use, allow=act)


def test_the_field_that_does_not_fit_is_marked() -> None:
    """An operator sees the contract and the value together."""
    sent = audit["1.0.0"].accepts(Order(1), source=WEB, subject="unfit")
    unfit = type(sent).from_dict({**sent.to_dict(), "data": {"amount": "ten", "pin": SECRET}})

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        await send_inside(runtime, unfit)
        await runtime.drain(timeout=60)
        found = (await runtime.dead_letters())[-1]
        page = await browser.get(f"/dead-letter?id={found.id}")
        form = await browser.get(f"/edit-dead-letter?id={found.id}")

        for answer in (page, form):
            marked = [
                it for it in read_page(answer.text).all("tr") if "aria-current" in it.attributes
            ]
            assert [it.text.startswith("amount") for it in marked] == [True]
            assert "data.amount: expected a number, got 'ten'" in marked[0].text
            assert SECRET not in answer.text

    with_console(use, allow=act)


def test_the_issue_of_a_secret_field_does_not_quote_it() -> None:
    """Also one that is too short to be found in other texts."""
    event = audit["1.0.0"].accepts(Order(1, pin="47"), source=WEB, subject="short")
    page = Redaction(Schemas.of(system), shows_data=True)

    checks = check_fields(event, page, [Issue("data.pin", "a text of 4 characters", "'47'")])

    (pin,) = [it for it in checks if it.issues]
    assert pin.issues == (Issue("data.pin", "a text of 4 characters", "•••"),)


def test_who_may_not_see_data_or_redrive_edits_nothing() -> None:
    """The form has the data of the event, and sends them."""
    allowed: set[Verb] = {"see", "retry"}

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> list[int]:
        _, path = await first_of(browser, runtime)
        answers = [await browser.get(path), await post(browser, path, {})]
        allowed.clear()
        allowed.update(("see", "see_data"))
        answers += [await browser.get(path), await post(browser, path, {})]
        return [it.status_code for it in answers]

    def allow(user: str | None, verb: Verb, record: Record | None) -> bool:
        return verb in allowed

    assert with_console(use, allow=allow) == [403] * 4


def test_data_without_their_contract_are_not_edited() -> None:
    """Any field of them may be a secret."""

    async def go() -> httpx.Response:
        async with Runtime(system, "memory:") as runtime:
            await runtime.send(audit["1.0.0"].accepts(Order(1, "", SECRET), source=WEB))
            await runtime.drain(timeout=60)
            app = console(Client(System(()), runtime.backend), allow=act)
            async with browse(app) as browser:
                (found,) = await runtime.dead_letters()
                page = await browser.get(f"/dead-letter?id={found.id}")
                assert "/edit-dead-letter" not in page.text
                return await browser.get(f"/edit-dead-letter?id={found.id}")

    answer = within(go())

    assert answer.status_code == 403
    assert "any field may be secret" in answer.text


@pytest.mark.parametrize("text", ["{", "[]", "1", ""])
def test_data_that_are_no_object_are_refused(text: str) -> None:
    """An address and a form are made by other programs as well."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> int:
        _, path = await first_of(browser, runtime)
        return int((await post(browser, path, text)).status_code)

    assert with_console(use, allow=act) == 422


def test_a_list_with_marks_keeps_its_length() -> None:
    """A mark stands for the value at its place, and would stand for another one."""
    shown = {"cards": [{"pin": "•••"}, {"pin": "•••"}]}
    original = {"cards": ({"pin": "1"}, {"pin": "2"})}

    shorter = restore(shown, {"cards": [{"pin": "•••"}]}, original)
    added = restore(shown, {"cards": [{"pin": "•••", "n": 1}, {"pin": "3"}]}, original)

    assert isinstance(shorter, Issues)
    assert shorter.items[0].path == "data.cards[0].pin"
    assert added == {"cards": [{"pin": "1", "n": 1}, {"pin": "3"}]}
