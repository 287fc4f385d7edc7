"""Backends: every page over servers, and what a backend cannot do."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from arvo import Runtime
from arvo.interpreters.http.workflow_json import to_path
from tests.console.pages import crawl, read_page
from tests.console.stores import ORDERS, SECRET, with_console
from tests.console.test_batches import ended, post
from tests.interpreters.nats.test_conformance import prefix_of
from tests.interpreters.postgres.schemas import schema_url
from tests.servers import nats_url, redis_url

TABS: Final = ("", "timeline", "history", "state", "chart", "travel", "tree", "replay", "sequence")
TABS_OF_HISTORY: Final = {"timeline", "history", "event", "travel", "replay", "sequence"}
SUBJECTS: Final = [to_path(event.subject) for event in ORDERS.values()]
COMPLETE: Final[Mapping[str, Callable[[Path], str]]] = {
    "postgres": schema_url,
    "nats": lambda folder: f"{nats_url()}?prefix={prefix_of(folder)}",
    "redis": lambda folder: f"{redis_url()}?prefix={prefix_of(folder)}",
}


def everything(*_: object) -> bool:
    return True


def tab_of(path: str) -> tuple[str, str] | None:
    """Return the workflow and the tab that an address leads to, if it leads to any."""
    parts = urlsplit(path)
    if not parts.path.startswith("/workflows/"):
        return None
    tab = parse_qs(parts.query).get("tab", [""])[0]
    return parts.path.removeprefix("/workflows/"), tab


@pytest.mark.parametrize("backend", COMPLETE)
def test_every_page_is_there_on_each_backend_that_lists(tmp_path: Path, backend: str) -> None:
    """Postgres and pairs with an index: an operator does without nothing."""

    async def use(browser: httpx.AsyncClient, _: Runtime) -> dict[str, httpx.Response]:
        return await crawl(browser, "/")

    seen = with_console(use, COMPLETE[backend](tmp_path), allow=everything)

    broken = {path: it.status_code for path, it in seen.items() if it.status_code not in (200, 303)}
    assert broken == {}
    assert set(map(tab_of, seen)) >= {(it, tab) for it in SUBJECTS for tab in (*TABS, "event")}
    assert [path for path, answer in seen.items() if SECRET in answer.text] == []


def test_a_pair_without_an_index_says_what_it_cannot_do(tmp_path: Path) -> None:
    """It lists nothing and has no history; a page that were only empty would mislead."""
    starts = [f"/workflows/{it}?tab={tab}" for it in SUBJECTS for tab in (*TABS, "event")]
    downloads = [f"/{kind}/{it}" for it in SUBJECTS for kind in ("history", "event")]
    forms = [f"/{kind}/{it}" for it in SUBJECTS for kind in ("act/fork", "what-if")]

    async def use(browser: httpx.AsyncClient, _: Runtime) -> dict[str, httpx.Response]:
        return await crawl(browser, "/", *starts, *downloads, *forms)

    url = f"{redis_url()}?index=no&prefix={prefix_of(tmp_path)}"
    seen = with_console(use, url, allow=everything)

    refused = {path for path, it in seen.items() if it.status_code not in (200, 303)}
    lists = {it for it in seen if urlsplit(it).path in ("/workflows", "/timers")}
    tabs = {it for it in seen if (tab := tab_of(it)) and tab[1] in TABS_OF_HISTORY}
    assert refused == {*lists, *tabs, *downloads, *forms}
    for path in refused:
        assert seen[path].status_code == 501
        assert "index" in read_page(seen[path].text).text_of("main")
    texts = [answer.text for answer in seen.values()]
    assert [it for it in (*downloads, *forms) if any(f'href="{it}' in text for text in texts)] == []


def test_a_pair_without_an_index_acts_on_one_workflow_and_not_on_all() -> None:
    """A batch would have to list them, and its page says so."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> tuple[str, str]:
        begun = await post(browser, "/batches/workflows", {"verb": "cancel", "scope": "all"})
        job = await ended(browser, begun.headers["location"])
        form = f"/act/cancel/{to_path(ORDERS['waits-1'].subject)}"
        await post(browser, form, {"reason": "a test"})
        await runtime.drain(timeout=60)
        record = await runtime.record(ORDERS["waits-1"].subject)
        assert record is not None
        return job, record.status

    job, status = with_console(use, "memory: memory:", allow=everything)

    assert "a pair without an index" in read_page(job).text_of("main")
    assert status == "cancelled"
