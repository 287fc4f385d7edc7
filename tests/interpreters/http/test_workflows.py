"""Workflows: the endpoints for clients that have no library of ours."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from arvo import Emit, Event, EventHandler, Fail, Runtime, System
from arvo.core.events.subject import workflow_id_of
from arvo.http import asgi_app
from tests.interpreters.http.serving import client_of, post, with_client
from tests.interpreters.runtime.test_asks import (
    Approved,
    Check,
    as_flow,
    check,
    checking,
)
from tests.interpreters.within import within
from tests.shop import shop

BEGIN = "/workflows/blog.publish/1.0.0"
PAGE = {"workflow_id": "page-1", "data": {"page": "home"}}
system = System([as_flow, checking])
Use = Callable[[httpx.AsyncClient, Runtime], Awaitable[Any]]


def events_of(stream: httpx.Response) -> list[dict[str, str]]:
    """Parse server-sent events, each a mapping of its fields."""
    blocks = [block for block in stream.text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


def test_a_client_begins_signals_and_waits_with_plain_json() -> None:
    """A shop in PHP needs neither CloudEvents nor the format of a subject."""

    async def use(client: httpx.AsyncClient, _: Runtime) -> Any:
        begun = await client.post(BEGIN, json=PAGE)
        again = await client.post(BEGIN, json=PAGE)
        active = await client.get("/workflows/page-1/result")
        voted = await client.post(
            "/workflows/page-1/signals/com.blog.approve",
            json={"data": {"by": "ann"}, "id": "ann-1"},
            headers={"prefer": "wait=30"},
        )
        once = await client.post(
            "/workflows/page-1/signals/com.blog.approve",
            json={"data": {"by": "ann"}},
            headers={"prefer": "wait=30", "idempotency-key": "ann-1"},
        )
        closed = await client.post(
            "/workflows/page-1/signals/com.blog.close", json={"data": {"by": "ann"}}
        )
        done = await client.get("/workflows/page-1/result", headers={"prefer": "wait=30"})
        located = await client.get(begun.headers["location"])
        return begun, again, active, voted, once, closed, done, located

    begun, again, active, voted, once, closed, done, located = with_client(system, use)

    assert begun.status_code == again.status_code == active.status_code == 202
    assert begun.json()["workflow_id"] == "page-1"
    assert again.json() == begun.json()
    assert active.json()["status"] == "active"
    assert (voted.status_code, voted.json()) == (
        200,
        {"type": "evt.blog.approved", "data": {"count": Approved(1).count}},
    )
    assert once.json() == voted.json()
    assert closed.status_code == 202
    assert done.status_code == 200
    assert done.json() == {
        "workflow_id": "page-1",
        "subject": begun.json()["subject"],
        "status": "done",
        "type": "arvo.orc.blog.publish.done",
        "data": {"page": "home"},
    }
    assert located.json() == done.json()


def test_the_same_id_with_other_data_is_a_conflict() -> None:
    async def use(client: httpx.AsyncClient, runtime: Runtime) -> httpx.Response:
        await client.post(BEGIN, json=PAGE)
        await runtime.drain(60)
        return await client.post(BEGIN, json={**PAGE, "data": {"page": "other"}})

    response = with_client(system, use)

    assert response.status_code == 409
    assert "page-1" in response.json()["detail"]


def test_a_client_may_wait_for_the_result_as_it_begins() -> None:
    async def use(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        order = {"workflow_id": "order-1", "data": {"order_id": "o1", "amount": 10.0}}
        path = "/workflows/arvo.orc.order.fulfil/1.0.0"
        return await client.post(path, json=order, headers={"prefer": "wait=30"})

    response = with_client(shop, use)

    assert response.status_code == 200
    assert response.json()["status"] == "done"
    assert response.json()["type"] == "arvo.orc.order.fulfil.done"


def test_the_history_is_streamed_and_resumed(tmp_path: Path) -> None:
    """A browser's EventSource reconnects with the last id that it has seen."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        await client.post(BEGIN, json=PAGE)
        await runtime.drain(60)
        watching = asyncio.create_task(client.get("/workflows/page-1/events"))
        await client.post("/workflows/page-1/signals/com.blog.close", json={"data": {"by": "ann"}})
        whole = await watching
        rest = await client.get("/workflows/page-1/events", headers={"last-event-id": "1"})
        return whole, rest

    whole, rest = with_client(system, use, f"sqlite:///{tmp_path}/history.db")

    assert whole.headers["content-type"].startswith("text/event-stream")
    *entries, end = events_of(whole)
    assert end["event"] == "end"
    done = "arvo.orc.blog.publish.done"
    outcome = {"status": "done", "type": done, "data": {"page": "home"}}
    assert orjson.loads(end["data"]) == outcome
    assert [entry["id"] for entry in entries] == [str(number) for number in range(len(entries))]
    data = [orjson.loads(entry["data"]) for entry in entries]
    assert data[0]["event"]["data"] == {"page": "home", "parentSubject$$": None}
    assert data[-1]["event"]["type"] == "arvo.orc.blog.publish.done"
    assert [entry["event"] for entry in entries][:2] == ["consumed", "produced"]
    assert all("record" not in entry for entry in data)
    assert events_of(rest) == [*entries[2:], end]


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("/workflows/blog.publish/1.0.0", {"data": {"page": 1}}, 400, "data.page"),
        ("/workflows/blog.publish/1.0.0", {"workflow_id": 1}, 400, "workflow_id"),
        ("/workflows/blog.publish/1.0.0", [], 400, "body"),
        ("/workflows/blog.publish/9.0.0", PAGE, 404, "version"),
        ("/workflows/blog.other/1.0.0", PAGE, 404, "contract"),
        ("/workflows/com.blog.check/1.0.0", PAGE, 404, "contract"),
        ("/workflows/page-1/signals/com.blog.other", {}, 404, None),
        ("/workflows/blog.publish/1.0.0", {**PAGE, "workflow_id": "a;b"}, 400, "workflow_id"),
        ("/workflows/blog.publish/1.0.0", {**PAGE, "workflow_id": ""}, 400, "workflow_id"),
        (
            "/workflows/blog.publish/1.0.0",
            {**PAGE, "source": "x.y"},
            400,
            "source",
        ),
        ("/workflows/blog.publish/1.0.0", {**PAGE, "source": ""}, 400, "source"),
        # It would begin a second workflow if it were ignored.
        ("/workflows/blog.publish/1.0.0", {"workflowId": "1", "data": PAGE["data"]}, 400, "body"),
        ("/workflows/blog.publish/1.0.0", {**PAGE, "id_reuse_policy": "allow"}, 400, "body"),
    ],
)
def test_what_the_client_has_to_correct_is_named(
    path: str, body: object, status: int, field: str | None
) -> None:
    async def use(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await client.post(path, json=body)

    response = with_client(system, use)

    assert (response.status_code, response.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    if field is not None:
        assert response.json()["issues"][0]["field"] == field


@pytest.mark.parametrize("signal", [{"id": ""}, {"source": ""}, {"id": 1}, {"di": "1"}])
def test_what_is_wrong_with_a_signal_is_named(signal: dict[str, Any]) -> None:
    async def use(client: httpx.AsyncClient, runtime: Runtime) -> httpx.Response:
        await client.post(BEGIN, json=PAGE)
        await runtime.drain(60)
        path = "/workflows/page-1/signals/com.blog.close"
        return await client.post(path, json={"data": {"by": "ann"}, **signal})

    response = with_client(system, use)

    assert response.status_code == 400
    assert response.json()["issues"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_only_json_is_accepted(kind: str) -> None:
    """A page of another site may post any other type in the name of the user who reads it."""

    async def use(client: httpx.AsyncClient, _: Runtime) -> tuple[httpx.Response, int]:
        body, headers = orjson.dumps(PAGE), {"content-type": kind}
        refused = await client.post(BEGIN, content=body, headers=headers)
        json = {"content-type": "Application/JSON; charset=utf-8"}
        return refused, (await client.post(BEGIN, content=body, headers=json)).status_code

    refused, accepted = with_client(system, use)

    assert refused.status_code == 415
    assert refused.headers["accept"] == "application/json"
    assert refused.json()["issues"][0]["field"] == "Content-Type"
    assert accepted == 202


def test_of_two_begins_at_the_same_moment_one_gets_the_outcome(tmp_path: Path) -> None:
    """The other has other data: it must not read the outcome as that of its own begin."""

    async def use(client: httpx.AsyncClient, _: Runtime) -> list[httpx.Response]:
        path, headers = "/workflows/arvo.orc.order.fulfil/1.0.0", {"prefer": "wait=30"}
        bodies = [
            {"workflow_id": "order-1", "data": {"order_id": "o1", "amount": amount}}
            for amount in (10.0, 20.0)
        ]
        requests = (client.post(path, json=body, headers=headers) for body in bodies)
        return await asyncio.gather(*requests)

    responses = with_client(shop, use, f"sqlite:///{tmp_path}/orders.db")

    assert sorted(response.status_code for response in responses) == [200, 409]


def test_unknown_workflows_are_404() -> None:
    async def use(client: httpx.AsyncClient, _: Runtime) -> list[int]:
        paths = ("result", "events")
        return [(await client.get(f"/workflows/none/{it}")).status_code for it in paths]

    assert with_client(system, use) == [404, 404]


def test_the_application_decides_who_may_see_what() -> None:
    asked: list[str] = []

    def allow(caller: object, verb: str, event: object, record: object) -> bool:
        asked.append(verb)
        return verb in ("begin", "result")

    async def go() -> list[int]:
        runtime = Runtime(system)
        async with runtime, client_of(asgi_app(runtime, allow=allow)) as client:
            responses = [await client.post(BEGIN, json=PAGE)]
            await runtime.drain(60)
            signal = "/workflows/page-1/signals/com.blog.close"
            responses += [
                await client.get("/workflows/page-1/result"),
                await client.get("/workflows/page-1/events"),
                await client.post(signal, json={"data": {"by": "ann"}}),
            ]
        return [response.status_code for response in responses]

    assert within(go()) == [202, 202, 403, 403]
    assert asked == ["begin", "result", "history", "signal"]


def test_a_failed_workflow_is_a_result_with_its_error() -> None:
    broken = EventHandler(check, {"1.0.0": lambda event: Fail("no connection")})

    async def use(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        await client.post(BEGIN, json=PAGE)
        return await client.get("/workflows/page-1/result", headers={"prefer": "wait=30"})

    async def begun(client: httpx.AsyncClient, runtime: Runtime) -> httpx.Response:
        await client.post(BEGIN, json=PAGE)
        await runtime.drain(60)
        return await use(client, runtime)

    response = with_client(System([as_flow, broken]), begun)

    assert response.status_code == 200
    assert response.json()["status"] == "failed"
    assert "no connection" in response.json()["error"]["message"]


@pytest.mark.parametrize("payload", [{"page": 1}, {"other": True}])
def test_a_handler_that_breaks_its_contract_is_no_fault_of_the_client(payload: Any) -> None:
    """The client could change nothing: a 400 would make it search in vain."""

    def wrong(event: Event[Check]) -> Emit:
        return Emit(payload, type="evt.blog.checked")

    async def use(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        event = check["1.0.0"].accepts(Check("home"), source="com.test.client")
        return await post(client, event, prefer="wait=30")

    response = with_client(System([EventHandler(check, {"1.0.0": wrong})]), use)

    assert response.status_code == 500
    assert "page" not in response.json()["detail"]


def listing(use: Use, backend: str = "memory:") -> Any:
    """Use a client of an app in which each caller may do all."""

    async def go() -> Any:
        async with Runtime(system, backend) as runtime:
            app = asgi_app(runtime, allow=lambda *_: True)
            async with client_of(app) as client:
                return await use(client, runtime)

    return within(go())


async def begin_pages(client: httpx.AsyncClient, runtime: Runtime, number: int) -> None:
    for each in range(number):
        body = {"workflow_id": f"page-{each}", "data": {"page": f"p{each}"}}
        assert (await client.post(BEGIN, json=body)).status_code == 202
    await runtime.drain(60)


@pytest.mark.parametrize("backend", ["memory:", "sqlite"])
def test_all_workflows_are_listed_in_pages(backend: str, tmp_path: Path) -> None:
    async def use(client: httpx.AsyncClient, runtime: Runtime) -> list[dict[str, Any]]:
        await begin_pages(client, runtime, 5)
        pages, after = [], ""
        while True:
            response = await client.get(f"/workflows?limit=2{after}")
            assert response.status_code == 200
            pages.append(response.json())
            if pages[-1]["next"] is None:
                return pages
            after = f"&after={pages[-1]['next']}"
            # The next page begins where this one ended, whatever has happened to its last workflow.
            last = pages[-1]["workflows"][-1]["workflow_id"]
            path = f"/workflows/{last}/signals/com.blog.close"
            await client.post(path, json={"data": {"by": "ann"}})
            await runtime.drain(60)

    url = backend if backend == "memory:" else f"sqlite:///{tmp_path}/list.db"
    pages = listing(use, url)

    rows = [row for page in pages for row in page["workflows"]]
    assert sorted(row["workflow_id"] for row in rows) == [f"page-{each}" for each in range(5)]
    assert [len(page["workflows"]) for page in pages[:2]] == [2, 2]
    assert {row["type"] for row in rows} == {"arvo.orc.blog.publish"}
    assert {row["version"] for row in rows} == {"1.0.0"}
    assert {row["status"] for row in rows} == {"active"}
    assert all(row["labels"] == {} and row["began"] and row["changed"] for row in rows)


def test_a_list_is_selected_by_its_parameters() -> None:
    async def use(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        await begin_pages(client, runtime, 3)
        close = "/workflows/page-1/signals/com.blog.close"
        await client.post(close, json={"data": {"by": "ann"}})
        await runtime.drain(60)

        async def ids(query: str) -> list[str]:
            response = await client.get(f"/workflows?{query}")
            assert response.status_code == 200, response.text
            return sorted(row["workflow_id"] for row in response.json()["workflows"])

        assert await ids("status=done") == ["page-1"]
        assert await ids("status=active") == ["page-0", "page-2"]
        assert await ids("workflow_id=page-2") == ["page-2"]
        assert await ids("text=page-0") == ["page-0"]
        assert await ids("type=arvo.orc.blog.publish&version=1.0.0") == [
            "page-0",
            "page-1",
            "page-2",
        ]
        assert await ids("version=9.0.0") == []
        assert await ids("type=arvo.orc.other") == []
        assert await ids("label=customer:ann") == []

    listing(use)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=open", "status"),
        ("stauts=done", "stauts"),
        ("version=latest", "version"),
        ("label=ann", "label"),
        ("label=a:1&label=a:2", "label"),
        ("label=:ann", "labels"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("text=a&text=b", "text"),
        ("after=page-1", "after"),
        ("after=2026-01-01T00:00:00Z~page-1", "after"),
        ("&".join(f"label={each}:1" for each in range(17)), "label"),
    ],
)
def test_a_wrong_parameter_of_a_list_is_named(query: str, field: str) -> None:
    async def use(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await client.get(f"/workflows?{query}")

    response = listing(use)

    assert response.status_code == 400
    assert field in [issue["field"] for issue in response.json()["issues"]]


def test_a_list_holds_what_the_caller_may_see() -> None:
    """An application shows each customer the own orders, and no others."""
    asked: list[Any] = []

    def allow(_: Any, verb: Any, event: Any, record: Any) -> bool:
        if verb == "list":
            asked.append(event)
            return workflow_id_of(record.subject) == "page-1"
        return True

    async def go() -> Any:
        async with Runtime(system) as runtime, client_of(asgi_app(runtime, allow=allow)) as client:
            await begin_pages(client, runtime, 3)
            return (await client.get("/workflows?limit=2")).json()

    page = within(go())

    assert [row["workflow_id"] for row in page["workflows"]] == ["page-1"]
    assert page["next"] is None
    assert asked == [None, None, None]


def test_a_pair_says_that_it_cannot_list() -> None:
    async def use(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await client.get("/workflows")

    assert listing(use, "memory: memory:").status_code == 501


def test_without_allow_nothing_is_listed() -> None:
    """Ids and labels are no business of a caller who may be anyone."""

    async def use(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await client.get("/workflows")

    response = with_client(system, use)

    assert response.status_code == 403
    assert "allow" in response.json()["detail"]
