"""Watching: a browser follows a workflow by server-sent events."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import httpx
import orjson
import pytest
from attrs import frozen

from arvo import Record, Runtime, Secret, System, report
from arvo.core.payloads.secrets import HIDDEN
from arvo.http import asgi_app
from arvo.interpreters.http import workflows as endpoint
from arvo.interpreters.http.workflow_json import to_path
from tests.interpreters.http.serving import client_of, serve, with_client
from tests.interpreters.http.test_workflows import events_of
from tests.interpreters.watching.counting import begin_count, system
from tests.interpreters.watching.reporting import Begin, reporting
from tests.interpreters.within import within

BEGIN = "/workflows/count.ticks/1.0.0"
PIN = "4711-4711"


async def begin(client: httpx.AsyncClient, signals: int = 0) -> Any:
    data = {"signals": signals, "pin": PIN}
    begun = await client.post(BEGIN, json={"workflow_id": "count-1", "data": data})
    assert begun.status_code == 202
    return begun.json()


def with_access(
    allow: Callable[[object, str, object, Record | None], bool],
    use: Callable[[httpx.AsyncClient, Runtime], Awaitable[Any]],
) -> Any:
    """Use a client of an app that asks who may do what."""

    async def go() -> Any:
        async with Runtime(system) as runtime, client_of(asgi_app(runtime, allow=allow)) as client:
            return await use(client, runtime)

    return within(go())


def test_no_secret_leaves_the_server() -> None:
    """The page of a customer shows what happens, and not what only the workflow may know."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> httpx.Response:
        await begin(client)
        await runtime.drain(60)
        return await client.get("/workflows/count-1/events")

    response = with_client(system, use)

    *entries, end = [orjson.loads(event["data"]) for event in events_of(response)]
    assert PIN not in response.text
    assert entries[0]["event"]["data"]["pin"] == HIDDEN
    assert end == {"status": "done", "type": "arvo.orc.count.ticks.done", "data": {"pin": HIDDEN}}


def test_a_failure_is_shown() -> None:
    async def use(client: httpx.AsyncClient, runtime: Runtime) -> httpx.Response:
        await begin(client, 13)
        await runtime.drain(60)
        for number in range(13):
            await runtime.signal("count-1", {"number": number}, type="com.count.tick")
        await runtime.drain(60)
        return await client.get("/workflows/count-1/events")

    *_, end = events_of(with_client(system, use))

    content = orjson.loads(end["data"])
    assert (content["status"], content["error"]["name"]) == ("failed", "ValueError")
    assert "thirteen" in content["error"]["message"]


def test_a_workflow_that_has_not_begun_is_watched_by_its_subject() -> None:
    """Its first turn may take an hour, and a browser has the subject from the answer to its
    begin.
    """

    async def use(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        watching = asyncio.create_task(client.get(f"/workflows/{begin_count(0).subject}/events"))
        await asyncio.sleep(0)
        await client.post("/", content=begin_count(0).to_json(), headers=STRUCTURED)
        return await watching

    events = events_of(with_client(system, use))

    assert [event["event"] for event in events] == ["consumed", "produced", "end"]


STRUCTURED = {"content-type": "application/cloudevents+json"}


def test_a_subject_of_another_system_is_unknown() -> None:
    async def use(client: httpx.AsyncClient, _: Runtime) -> int:
        return (await client.get(f"/workflows/{begin_count(0).subject}/events")).status_code

    assert with_client(System([]), use) == 404


@pytest.mark.parametrize(
    ("allowed", "status"), [({"begin", "watch"}, 403), ({"begin", "history"}, 404)]
)
def test_who_watches_early_needs_both_rights(allowed: set[str], status: int) -> None:
    """An `allow` that reads the record cannot decide by it before there is one."""

    async def use(client: httpx.AsyncClient, _: Runtime) -> int:
        return (await client.get(f"/workflows/{begin_count(0).subject}/events")).status_code

    assert with_access(lambda caller, verb, event, record: verb in allowed, use) == status


def test_who_watches_early_is_asked_again_once_there_is_a_record() -> None:
    """The workflow may turn out to be that of another customer."""
    asked: list[tuple[str, bool]] = []
    is_watched = asyncio.Event()

    def allow(caller: object, verb: str, event: object, record: Record | None) -> bool:
        asked.append((verb, record is not None))
        if verb == "watch":
            is_watched.set()
        return record is None

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> httpx.Response:
        watching = asyncio.create_task(client.get(f"/workflows/{begin_count(0).subject}/events"))
        await is_watched.wait()
        await runtime.send(begin_count(0))
        return await watching

    response = with_access(allow, use)

    assert (response.status_code, response.text) == (200, "")
    assert asked == [("history", False), ("watch", False), ("history", True)]


def test_a_silent_stream_gets_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy closes a connection on which nothing comes."""
    monkeypatch.setattr(endpoint, "KEEP_ALIVE_SECONDS", 0.01)
    monkeypatch.setattr(endpoint, "STREAM_SECONDS_MAX", 1.0)

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> httpx.Response:
        await begin(client, 1)
        await runtime.drain(60)
        return await client.get("/workflows/count-1/events", headers={"last-event-id": "0"})

    assert set(with_client(system, use).text.split("\n\n")) == {": no news", ""}


def test_what_effects_report_is_streamed_without_an_id() -> None:
    """A client that reconnects goes on behind the last entry, which alone has a position."""

    async def go() -> str:
        released = asyncio.Event()

        async def count() -> int:
            while not released.is_set():
                report(Progress(50, PIN))
                await asyncio.sleep(0.01)
            return 1

        flow = reporting(count)
        event = flow["1.0.0"].init(Begin("one"), source="com.a.b", workflow_id="report-1")
        async with Runtime(System([flow])) as runtime, serve(asgi_app(runtime)) as url:
            text = ""
            async with httpx.AsyncClient(timeout=60) as client:
                path = f"{url}/workflows/{to_path(event.subject)}/events"
                async with client.stream("GET", path) as response:
                    await runtime.send(event)
                    async for line in response.aiter_lines():
                        text += line + "\n"
                        if line == "event: report":
                            released.set()
            return text

    events = [block.splitlines() for block in within(go()).split("\n\n") if block.strip()]

    assert PIN not in str(events)
    name, data = events[0]
    content = orjson.loads(data.removeprefix("data: "))
    assert name == "event: report"
    assert content["value"] == {"percent": 50, "pin": HIDDEN}
    assert (content["delivery"], content["attempt"], content["call"]) == (1, 1, 1)
    assert [block[-2] for block in events[-3:]] == [
        "event: consumed",
        "event: produced",
        "event: end",
    ]


def test_a_stream_without_reports_begins_with_a_comment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks at the stream sees why there are none."""
    monkeypatch.setattr(Runtime, "carries_reports", False)

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> str:
        await begin(client)
        await runtime.drain(60)
        return (await client.get("/workflows/count-1/events")).text

    assert with_client(system, use).startswith(": this backend carries no reports of effects")


@frozen
class Progress:
    percent: int
    pin: Annotated[str, Secret()]
