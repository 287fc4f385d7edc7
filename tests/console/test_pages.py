"""Pages: each page of the console over a store with workflows of every kind."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import orjson
import pytest
from attrs import evolve

from arvo import Client, MemoryBackend, Runtime, System, Violated
from arvo.console import console
from arvo.console.requests.reads import count_workflows
from arvo.interpreters.http.workflow_json import to_path
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.ports.results import PAGE_MAX
from tests.console.pages import crawl, read_page
from tests.console.stores import (
    HOSTILE,
    LARGE,
    ORDERS,
    SECRET,
    WEB,
    Approved,
    Charge,
    Order,
    approve,
    begin,
    browse,
    charge,
    filled,
    system,
    turns,
    with_console,
)
from tests.interpreters.runtime.running import Replaced
from tests.interpreters.within import within

TABS = ["", "timeline", "history", "state", "chart", "travel", "tree", "replay", "sequence"]
# A page of more is too slow to read, on a line of a train.
PAGE_BYTES_MAX = 300_000


def workflow(key: str, tab: str = "") -> str:
    """Return the address of an order's page."""
    path = f"/workflows/{to_path(ORDERS[key].subject)}"
    return f"{path}?tab={tab}" if tab else path


def get_all(*paths: str, **options: Any) -> list[httpx.Response]:
    """Get pages, one after the other."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> list[httpx.Response]:
        return [await browser.get(path) for path in paths]

    return with_console(use, **options)


def test_every_link_of_every_page_leads_to_a_page() -> None:
    """A crawler starts at the first page; no page is an end that an operator falls off."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> dict[str, httpx.Response]:
        return await crawl(browser, "/")

    seen = with_console(use, allow=lambda user, verb, record: True)

    broken = {path: it.status_code for path, it in seen.items() if it.status_code not in (200, 303)}
    assert broken == {}
    assert len(seen) > 100
    assert [path for path, answer in seen.items() if SECRET in answer.text] == []
    assert [path for path, answer in seen.items() if len(answer.content) > PAGE_BYTES_MAX] == []


def test_a_workflow_of_each_kind_has_each_tab() -> None:
    """Also one that has failed, one that waits, and one whose id is markup."""
    places = [(key, tab) for key in ORDERS for tab in TABS]
    answers = get_all(*(workflow(key, tab) for key, tab in places))

    for (key, _), answer in zip(places, answers, strict=True):
        page = read_page(answer.text)
        current = [it for it in page.all("a") if it.attributes.get("aria-current") == "page"]
        assert answer.status_code == 200
        assert page.all("h1")[0].text == key
        assert len(current) == 2  # of the rail, and of the tabs


def test_the_list_shows_what_the_filters_of_its_address_select() -> None:
    """An operator sends a colleague the address of what is on the screen."""
    failed, labelled, text, version, none, wrong = get_all(
        "/workflows?status=failed",
        "/workflows?label=amount%3D20",
        "/workflows?q=flow-1",
        "/workflows?version=1.0.0&q=waits-1",
        "/workflows?version=2.0.0",
        "/workflows?status=broken&quiet=1+week&label=x&version=latest",
    )

    assert _rows(failed) == ["failed-1"]
    assert _rows(labelled) == ["a/b <i>?#%"]
    assert _rows(text) == ["flow-1"]
    assert _rows(version) == ["waits-1"]
    assert _rows(none) == []
    assert "No workflow has all of these" in none.text
    assert len(_rows(wrong)) == len(ORDERS)
    assert "status: expected one of active, done, failed, cancelled" in wrong.text
    assert "version: expected a version such as 1.0.0" in wrong.text


def _rows(answer: httpx.Response) -> list[str]:
    page = read_page(answer.text)
    return [it.text for it in page.all("th") if it.attributes.get("scope") == "row"]


def test_a_search_leads_to_the_workflow() -> None:
    """The id in a customer's mail is all that an operator has."""
    by_id, by_label, missing, empty = get_all(
        "/search?q=done-1", "/search?q=amount%3D10", "/search?q=nothing", "/search?q="
    )

    assert by_id.headers["location"] == workflow("done-1")
    assert by_label.headers["location"] == "/workflows?label=amount%3D10"
    assert (missing.status_code, empty.headers["location"]) == (404, "/workflows")
    read_page(missing.text)


def test_time_travel_shows_a_turn_and_what_it_changed() -> None:
    """No log says what the state was before the turn that went wrong."""
    first, last, beyond = get_all(
        workflow("chart-1", "travel") + "&revision=1",
        workflow("chart-1", "travel") + "&revision=2",
        workflow("chart-1", "travel") + "&revision=99",
    )

    assert "Revision 1 of 2" in first.text
    assert "<strong>shop-chart.open.charging</strong>" in first.text
    assert "<strong>com.bank.charge</strong> to com.bank.charge" in first.text
    assert "<strong>shop-chart.open.waiting</strong>" in last.text
    assert "state.context.receipt" in last.text
    assert "&#39;r-10&#39;" in last.text
    assert "Revision 2 of 2" in beyond.text


def test_time_travel_shows_the_line_at_which_a_flow_waits() -> None:
    """The position in a journal says little; the line in the source says what it waits for."""
    first, last = get_all(
        workflow("flow-1", "travel") + "&revision=1", workflow("flow-1", "travel") + "&revision=2"
    )

    assert "yield from ask(" in read_page(first.text).all("mark")[0].text
    assert "yield from sleep(" in read_page(last.text).all("mark")[0].text


def test_two_revisions_are_compared() -> None:
    """Between two looks of an operator a workflow may have taken several turns."""
    differs, same, missing = get_all(
        workflow("done-1", "state") + "&from=1&to=2",
        workflow("done-1", "state") + "&from=2&to=2",
        workflow("done-1", "state") + "&from=1&to=9",
    )

    assert "state.receipt" in differs.text
    assert "The state is the same at both revisions" in same.text
    assert "The history has no revision 9" in missing.text


def test_dead_letters_are_grouped_by_what_they_have_in_common() -> None:
    """Twenty thousand of one cause are one line, not twenty thousand."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> list[httpx.Response]:
        answer = await browser.get("/dead-letters")
        links = read_page(answer.text).links
        (group,) = [it for it in links if it.startswith("/dead-letters?cause=")]
        other = await browser.get("/dead-letters?handler=none")
        return [answer, await browser.get(group), other]

    listed, of_group, of_none = with_console(use)

    assert read_page(listed.text).all("td")[0].text == "3"
    assert "3 dead letters, oldest first" in of_group.text
    assert "0 dead letters, oldest first" in of_none.text


async def read_dead_letters(runtime: Runtime) -> tuple[str, list[str]]:
    """Return the page of dead letters, and the operations of the backend that it took."""
    read: list[str] = []
    operations = ("dead_letters", "dead_letter_groups")

    def counted(name: str) -> Callable[..., Awaitable[Any]]:
        async def call(**given: Any) -> Any:
            read.append(name)
            return await getattr(runtime.backend, name)(**given)

        return call

    backend: Any = Replaced(runtime.backend, **{it: counted(it) for it in operations})
    async with browse(console(Client(system, backend))) as browser:
        return (await browser.get("/dead-letters")).text, sorted(read)


def test_the_page_of_dead_letters_reads_a_group_with_a_listed_one_once() -> None:
    """Thirty groups are not thirty more queries to the backend."""

    async def go() -> tuple[str, list[str]]:
        async with filled() as runtime:
            return await read_dead_letters(runtime)

    text, read = within(go())

    assert read_page(text).all("td")[0].text == "3"
    assert read == ["dead_letter_groups", "dead_letters"]


def test_a_group_is_read_where_its_cause_may_quote_a_secret_alone() -> None:
    """The cause is that of its oldest dead letter, which is not on the page of all."""
    pin = "swordfish"
    paid = charge["1.0.0"].accepts(Charge(1, pin), source=WEB, subject="charge-1")
    approved = approve["1.0.0"].accepts(Approved("ann"), source=WEB, subject="approve-1")
    listed = [(paid, "refused")] * PAGE_MAX
    stored = [*listed, (paid, f"copied {pin}"), (approved, "no one waits")]

    async def go() -> tuple[str, list[str]]:
        async with filled() as runtime:
            for number, (event, reason) in enumerate(stored):
                made = DeadLetter(
                    id=f"{number:03}", event=event, reason=reason, attempts=1, at="2020-01-01T00Z"
                )
                await runtime.backend.dead_letter(None, made)
            return await read_dead_letters(runtime)

    text, read = within(go())

    assert "no one waits" in text
    assert "copied •••" in text
    assert pin not in text
    # That of the filled store is on no page either, and its contract has a secret.
    assert read == ["dead_letter_groups", *["dead_letters"] * 3]


def test_timers_are_listed_by_type() -> None:
    """A delay that is longer than it should be is found before a customer finds it."""
    every, of_one, of_none = get_all(
        "/timers", "/timers?type=arvo.orc.shop.flow", "/timers?type=arvo.orc.shop.turns"
    )

    assert sorted(_rows(every)) == ["chart-1", "flow-1"]
    assert _rows(of_one) == ["flow-1"]
    assert workflow("flow-1") in read_page(of_one.text).links
    assert _rows(of_none) == []
    assert "No workflow of this type waits for a timer" in of_none.text


def test_a_backend_that_cannot_list_says_so() -> None:
    """An empty list of timers would look as if nothing waited."""

    async def go() -> httpx.Response:
        client = Client(system, "memory: memory:")
        async with client, browse(console(client)) as browser:
            return await browser.get("/timers")

    answer = within(go())

    assert answer.status_code == 501
    assert "This backend cannot list timers" in read_page(answer.text).text_of("h1")


def test_a_page_that_is_missing_says_why() -> None:
    """An address may be older than the retention of a store."""
    answers = get_all(
        "/workflows/nothing",
        workflow("done-1", "nonsense"),
        workflow("done-1", "event") + "&position=99",
        "/dead-letter?id=nothing",
        "/contract?uri=x",
        "/nowhere",
        "/assets/nothing.js",
        "/assets/..%2Fapp.py",
    )

    assert [it.status_code for it in answers] == [404] * 8
    for answer in answers:
        read_page(answer.text)
    assert "retention has removed it" in answers[0].text


def test_a_console_without_a_system_shows_no_data() -> None:
    """It cannot know which fields are secret, so it shows their shape."""

    async def go() -> list[httpx.Response]:
        async with filled() as runtime:
            app = console(Client(System(()), runtime.backend))
            async with browse(app) as browser:
                paths = [
                    *(workflow(key, tab) for key in ORDERS for tab in TABS),
                    *("/", "/workflows", "/dead-letters", "/system", "/send", "/workers"),
                    workflow("done-1", "event") + "&position=0",
                    f"/history/{to_path(ORDERS['done-1'].subject)}",
                ]
                return [await browser.get(path) for path in paths]

    answers = within(go())

    assert {it.status_code for it in answers} == {200}
    assert [str(it.url) for it in answers if SECRET in it.text] == []
    assert '"amount": "number"' in answers[-2].text.replace("&#34;", '"')


def test_data_that_is_too_large_is_offered_as_a_download() -> None:
    """A browser that formats a megabyte stands still."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> list[httpx.Response]:
        await runtime.send(LARGE)
        await runtime.drain(timeout=60)
        path = to_path(LARGE.subject)
        return [
            await browser.get(it)
            for it in (
                f"/workflows/{path}?tab=state",
                f"/workflows/{path}?tab=event&position=0",
                f"/workflows/{path}?tab=travel",
                f"/state/{path}",
            )
        ]

    *pages, state = with_console(use)

    for answer in pages:
        assert "which is too much for a page" in answer.text
        assert len(answer.content) < PAGE_BYTES_MAX
    assert len(state.json()["note"]) == 300_000
    assert state.headers["content-disposition"] == 'attachment; filename="state.json"'


def test_a_long_list_is_counted_on_demand() -> None:
    """A count reads every workflow, so no page counts by itself."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> list[str]:
        for number in range(PAGE_MAX):
            await runtime.send(begin(turns, f"many-{number}", Order(500, "many")))
        await runtime.drain(timeout=100)
        first = await browser.get("/workflows?q=many")
        every = await browser.get("/workflows")
        [counted] = [it for it in read_page(every.text).links if "count=1" in it]
        [more] = [it for it in read_page(every.text).links if "after=" in it]
        answers = [first, every, *[await browser.get(it) for it in (counted, more)]]
        assert await count_workflows(runtime, {}, number_max=PAGE_MAX - 1) == PAGE_MAX
        return [read_page(it.text).text_of("caption") for it in answers]

    # The first page is full, so it cannot know that nothing follows.
    full, every, counted, more = with_console(use)

    assert full.startswith("100+ workflows (count)")
    assert every.startswith("100+ workflows (count)")
    assert counted.startswith(f"{PAGE_MAX + len(ORDERS)} workflows (count again)")
    assert more.startswith(f"{len(ORDERS)}+ workflows (count)")


def test_each_row_has_the_id_to_copy() -> None:
    """A person takes it to a shell or into a message."""
    [answer] = get_all("/workflows")

    copied = {it.attributes.get("data-text") for it in read_page(answer.text).all("button")}
    assert set(ORDERS) <= copied


def test_data_is_a_tree_with_its_raw_text() -> None:
    """A person opens the branches that matter, also by keys and without scripts."""
    answers = get_all(
        workflow("chart-1", "state"),
        workflow("chart-1", "event") + "&position=0",
        workflow("chart-1", "travel") + "&revision=1",
    )

    state, event, travel = (read_page(it.text) for it in answers)

    for page in (state, event, travel):
        assert [it.text for it in page.all("summary") if it.text == "Raw JSON"]
        keys = [it.text for it in page.all("span") if it.attributes.get("class") == "key"]
        assert {"amount", "pin"} <= set(keys)
    branches = [it.text for it in state.all("summary")]
    assert [it for it in branches if it.startswith("context object of ") and it.endswith(" B")]
    path = to_path(ORDERS["chart-1"].subject)
    assert f"/event/{path}?position=0" in travel.links


def test_an_event_leads_to_what_it_changed() -> None:
    """Where the loaded system can say it."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> list[str]:
        path = workflow("done-1", "event") + "&position=0"
        async with browse(console(Client(System(()), runtime.backend))) as other:
            return [(await it.get(path)).text for it in (browser, other)]

    page, unknown = map(read_page, with_console(use))

    changes = workflow("done-1", "travel") + "&revision=1#after"
    assert changes in page.links
    assert changes not in unknown.links


def test_texts_of_other_programs_are_escaped() -> None:
    """Ids, notes and reasons hold markup, escape codes and templates; a page shows them."""
    answers = get_all("/dead-letters", "/workflows", workflow("a/b <i>?#%"), workflow("waits-1"))

    for answer in answers:
        assert "<img" not in answer.text
        assert "<i>" not in answer.text
        assert "\x1b" not in answer.text
        assert "\u202e" not in answer.text
        read_page(answer.text)
    assert r"\x1b[2J\u202e{{ 7*7 }}" in answers[0].text
    assert HOSTILE not in answers[0].text


def test_a_backend_that_does_not_answer_has_a_page_of_its_own() -> None:
    """The page says what is wrong, and leads to a second try."""

    async def go() -> httpx.Response:
        client = Client(system, "postgres://127.0.0.1:9/nothing?timeout=1")
        async with browse(console(client)) as browser:
            return await browser.get("/")

    answer = within(go())

    assert answer.status_code == 503
    assert "Try again" in answer.text
    read_page(answer.text)


def test_a_workflow_and_an_event_lead_to_their_trace() -> None:
    """The spans of other services are on the pages of another program."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    traced = evolve(
        begin(turns, "traced-1", Order(10)), traceparent=f"00-{trace}-00f067aa0ba902b7-01"
    )

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> list[str]:
        await runtime.send(traced)
        await runtime.drain(timeout=60)
        path = f"/workflows/{to_path(traced.subject)}"
        pages = [path, f"{path}?tab=event&position=0", workflow("done-1")]
        return [(await browser.get(it)).text for it in pages]

    url = "http://jaeger/trace/{trace_id}"
    now, event, untraced = with_console(use, trace_url=url)
    plain, *_ = with_console(use)

    for page in (now, event):
        assert f"http://jaeger/trace/{trace}" in read_page(page).links
    for page in (untraced, plain):
        assert "jaeger" not in page


@pytest.mark.parametrize("url", ["http://jaeger/", "javascript:{trace_id}", "{trace_id}", "x"])
def test_an_address_that_is_of_no_trace_is_refused(url: str) -> None:
    """A link without an id leads to another page, and a script must not become a link."""
    client = Client(System(()), "memory:")

    with pytest.raises(Violated, match="trace_url: expected an http address"):
        console(client, trace_url=url)


def test_a_history_of_many_pages_is_downloaded_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a stream that needs the memory of one page; no secret of a later entry is in an earlier
    one.
    """
    monkeypatch.setattr("arvo.console.requests.reads.HISTORY_PAGE_MAX", 2)
    subject = ORDERS["chart-1"].subject
    limits, read = list[int](), MemoryBackend.history

    async def counted(backend: MemoryBackend, subject: str, **options: Any) -> Any:
        limits.append(options["limit"])
        return await read(backend, subject, **options)

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> tuple[httpx.Response, int]:
        expected = len(await runtime.history(subject))
        monkeypatch.setattr(MemoryBackend, "history", counted)
        return await browser.get(f"/history/{to_path(subject)}"), expected

    answer, expected = with_console(use)

    lines = [orjson.loads(line) for line in answer.text.splitlines()]
    assert [line["position"] for line in lines] == list(range(expected))
    assert [line["kind"] for line in lines[:2]] == ["consumed", "produced"]
    assert expected > 2
    assert max(limits) <= 2
    assert answer.headers["content-disposition"] == 'attachment; filename="history.jsonl"'
    assert SECRET not in answer.text
