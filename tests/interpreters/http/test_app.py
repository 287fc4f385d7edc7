"""Edge: a runtime as an ASGI app that takes events over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import httpx
import orjson
import pytest
from attrs import evolve
from starlette.applications import Starlette
from starlette.routing import Mount

from arvo import (
    Backend,
    Emit,
    Event,
    Fail,
    MemoryBackend,
    Runtime,
    Schedule,
    Subject,
    System,
    TooLarge,
    Turn,
)
from arvo.core.events.event import EVENT_BYTES_MAX
from arvo.http import asgi_app
from arvo.interpreters.http.binding import BATCH, Mode, read
from arvo.interpreters.http.workflow_json import in_path
from arvo.interpreters.ports.backend import Message, Unavailable
from tests.interpreters.http.serving import asking, client_of, post, served
from tests.interpreters.within import within
from tests.shop import (
    CardCharged,
    ChargeCard,
    PlaceOrder,
    charging,
    paying,
    placing,
    shop,
    workflow,
)

PROBLEM = "application/problem+json"
WRONG = Event.from_dict({**charging().to_dict(), "data": {"order_id": 1, "amount": 2.0}})


def waiting(turn: Turn[Any]) -> Any:
    """Ask for a payment and set a timer; nobody answers."""
    if isinstance(turn.event.data, PlaceOrder):
        return Emit(ChargeCard("o1", 1.0)), Schedule("reminder", after=3600.0, payload={})
    return ()


patient = System([workflow(waiting), paying(lambda _: None)])


def test_an_event_is_taken_and_its_workflow_named() -> None:
    """Whoever begins something can look at it later."""

    async def talk(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        taken = await post(client, placing())
        await runtime.drain(timeout=10)
        return taken, await client.get(taken.headers["location"])

    taken, shown = asking(shop, talk)

    assert taken.status_code == 202
    assert taken.json() == {"id": "i1", "subject": placing().subject}
    assert shown.status_code == 200
    assert shown.json()["status"] == "done"
    assert shown.json()["subject"] == placing().subject


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_a_client_that_waits_gets_the_answer_in_the_mode_it_asked_in(mode: Mode) -> None:
    """What it can write it can read."""

    async def talk(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await post(client, placing(), mode, prefer="wait=10")

    answered = asking(shop, talk)

    assert answered.status_code == 200
    assert answered.headers["preference-applied"] == "wait=10"
    assert ("ce-id" in answered.headers) == (mode == "binary")
    [event] = read(answered.headers.raw, answered.content)
    assert (event.type, event.raw["tracking"]) == ("arvo.orc.order.fulfil.done", "t-o1")


def test_when_the_wait_is_over_the_work_goes_on() -> None:
    """A workflow may take days; a connection may not."""

    async def talk(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        late = await post(client, placing(), prefer="wait=1")
        return late, await runtime.record(placing().subject)

    late, record = asking(patient, talk)

    assert late.status_code == 202
    assert late.json()["subject"] == placing().subject
    assert late.headers["preference-applied"] == "wait=1"
    assert record is not None
    assert record.status == "active"


def test_a_system_error_is_an_answer_like_any_other() -> None:
    """It was carried home: a status that is no success would have proxies send the event again."""

    async def talk(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await post(client, placing(), prefer="wait=10")

    answered = asking(System([workflow(lambda _: Fail("no stock"))]), talk)

    assert answered.status_code == 200
    [event] = read(answered.headers.raw, answered.content)
    assert event.type == "sys.arvo.orc.order.fulfil.error"


def test_a_handler_that_answers_nothing_is_not_waited_for() -> None:
    """The event was taken, and that is all there is to say."""

    async def talk(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await post(client, charging(), prefer="wait=60")

    taken = asking(System([paying(lambda _: None)]), talk)

    assert taken.status_code == 202
    assert "location" not in taken.headers


def test_a_client_that_lost_its_connection_asks_again(tmp_path: Path) -> None:
    """The same event changes nothing, and its answer is still there."""

    async def talk(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        await post(client, placing())
        await runtime.drain(timeout=10)
        again = await post(client, placing(), prefer="wait=10")
        return again, runtime.stats().handled

    again, handled = asking(shop, talk, f"sqlite:///{tmp_path / 'arvo.db'}")

    assert again.status_code == 200
    assert handled == 5
    [event] = read(again.headers.raw, again.content)
    assert event.type == "arvo.orc.order.fulfil.done"


def test_an_answer_that_another_process_carried_home_is_found(tmp_path: Path) -> None:
    """Of several on one backend, it goes to whichever takes it."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"

    async def go() -> list[int]:
        # Four runtimes: most answers go to one that nobody has asked.
        async with (
            Runtime(shop, url),
            Runtime(shop, url),
            Runtime(shop, url),
            Runtime(shop, url) as runtime,
            client_of(asgi_app(runtime)) as client,
        ):
            asked = (post(client, placing(f"i{n}"), prefer="wait=20") for n in range(12))
            return [each.status_code for each in await asyncio.gather(*asked)]

    assert within(go()) == [200] * 12


def test_a_batch_is_taken_whole() -> None:
    """§3.3 of the binding; each event gets its place in the answer."""

    async def talk(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        body = orjson.dumps([placing(key).to_dict() for key in ("a", "b")])
        taken = await client.post("/", content=body, headers={"content-type": BATCH})
        return taken, await runtime.drain(timeout=10)

    taken, stats = asking(shop, talk)

    assert taken.status_code == 202
    assert [each["id"] for each in taken.json()] == ["a", "b"]
    assert stats.answered == 2


def test_of_a_batch_with_a_bad_event_none_is_taken() -> None:
    """The sender mends it and sends all of it again."""

    async def talk(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        good = placing()
        bad = WRONG
        body = orjson.dumps([good.to_dict(), bad.to_dict()])
        refused = await client.post("/", content=body, headers={"content-type": BATCH})
        return refused, (await runtime.drain(timeout=10)).handled

    refused, handled = asking(shop, talk)

    assert (refused.status_code, handled) == (400, 0)


@pytest.mark.parametrize(
    ("event", "status", "field"),
    [
        (WRONG, 400, "data.order_id"),
        (evolve(charging(), dataschema="#/contracts/payment/charge/9.9.9"), 400, "dataschema"),
        (evolve(placing(), subject="junk"), 400, "subject"),
        (evolve(charging(), to="com.no.one"), 404, "to"),
    ],
    ids=["payload", "version", "subject", "address"],
)
def test_an_event_that_nobody_could_take_is_refused_at_the_door(
    event: Event[Any], status: int, field: str
) -> None:
    """Its sender still listens there: behind it, it would be a dead letter."""

    async def talk(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        return await post(client, event), await runtime.dead_letters()

    refused, dead_letters = asking(shop, talk)

    assert refused.status_code == status
    assert refused.headers["content-type"] == PROBLEM
    said = refused.json()
    assert (said["status"], said["issues"][0]["field"]) == (status, field)
    assert set(said["issues"][0]) == {"field", "expected", "got"}
    assert dead_letters == ()


def test_a_reply_that_breaks_its_contract_is_refused_too() -> None:
    """Which contract that is follows from the workflow that waits for it."""

    async def talk(client: httpx.AsyncClient, runtime: Runtime) -> httpx.Response:
        await runtime.send(placing())
        await runtime.drain(timeout=10)
        return await post(client, evolve(placing("i2"), type="evt.payment.charged"))

    refused = asking(patient, talk)

    assert refused.status_code == 400
    assert refused.json()["issues"][0]["field"] == "dataschema"


def test_what_is_too_late_is_said_to_whoever_waits() -> None:
    """409: not with this workflow as it stands."""

    async def talk(client: httpx.AsyncClient, runtime: Runtime) -> httpx.Response:
        await runtime.request(placing(), timeout=10)
        second = evolve(placing("i2"), subject=placing().subject)
        return await post(client, second, prefer="wait=10")

    refused = asking(shop, talk)

    assert refused.status_code == 409
    assert "the workflow has begun already" in refused.json()["detail"]


def test_two_who_wait_for_one_event_could_not_be_told_apart() -> None:
    """The second one is told so, and may ask again later."""

    async def talk(client: httpx.AsyncClient, _: Runtime) -> Any:
        first = asyncio.create_task(post(client, placing(), prefer="wait=2"))
        await asyncio.sleep(0.2)
        second = await post(client, placing(), prefer="wait=2")
        return (await first).status_code, second

    first, second = asking(patient, talk)

    assert (first, second.status_code) == (202, 409)
    assert second.json()["issues"][0]["field"] == "id"


def test_what_is_too_large_for_the_broker_is_refused_by_its_words() -> None:
    """Its limit may be lower than ours, and the remedy is not the client's."""

    async def talk(client: httpx.AsyncClient, runtime: Runtime) -> list[httpx.Response]:
        async def send(event: Event[Any]) -> None:
            raise TooLarge("raise max_payload (1048576)")

        vars(runtime)["send"] = send
        return [await post(client, placing()), await post(client, placing(), prefer="wait=5")]

    for refused in asking(shop, talk):
        assert refused.status_code == 413
        assert "raise max_payload (1048576)" in refused.text


@pytest.mark.parametrize("length", [True, False], ids=["content-length", "streamed"])
def test_what_is_too_large_is_refused_before_it_is_read(length: bool) -> None:
    """Memory is bounded, whatever is sent."""
    read_so_far = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read_so_far
        while read_so_far < 4 * EVENT_BYTES_MAX:
            read_so_far += 65536
            yield b" " * 65536

    async def talk(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        headers = {"content-type": BATCH}
        if length:
            headers["content-length"] = str(EVENT_BYTES_MAX + 1)
        return await client.post("/", content=body(), headers=headers)

    refused = asking(shop, talk)

    assert refused.status_code == 413
    assert refused.headers["content-type"] == PROBLEM
    assert read_so_far <= (0 if length else EVENT_BYTES_MAX + 65536)


@pytest.mark.parametrize("kind", ["text/plain", "application/cloudevents+avro"])
def test_a_content_type_that_nobody_reads_is_refused_with_those_that_are(kind: str) -> None:
    """415, and `Accept` says what would do."""

    async def talk(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await client.post("/", content=b"hello", headers={"content-type": kind})

    refused = asking(shop, talk)

    assert refused.status_code == 415
    assert "application/cloudevents+json" in refused.headers["accept"]


def test_other_methods_and_paths_are_problems_too() -> None:
    """A client needs one way to read what went wrong."""

    async def talk(client: httpx.AsyncClient, _: Runtime) -> Any:
        return await client.get("/"), await client.get("/nothing")

    wrong, nothing = asking(shop, talk)

    assert (wrong.status_code, nothing.status_code) == (405, 404)
    assert (wrong.headers["content-type"], wrong.headers["allow"]) == (PROBLEM, "POST")
    assert nothing.headers["content-type"] == PROBLEM


class Gone:
    """A backend that cannot be reached."""

    def __init__(self) -> None:
        self.inner = MemoryBackend()

    async def send(self, _: Message) -> None:
        """Refuse."""
        raise Unavailable("the disk is full")

    async def load(self, _: str) -> Any:
        """Refuse."""
        raise Unavailable("the disk is full")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_a_store_that_cannot_be_reached_is_not_the_clients_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """503, and when to come back; what is wrong with it is for the log."""

    async def go() -> Any:
        gone = cast("Backend", Gone())
        async with Runtime(shop, gone) as runtime, client_of(asgi_app(runtime)) as client:
            return (
                await post(client, placing()),
                await post(client, placing(), prefer="wait=5"),
                await client.get(f"/workflows/{in_path(placing().subject)}"),
                await client.get("/ready"),
                await client.get("/live"),
            )

    *refused, live = within(go())

    assert [each.status_code for each in refused] == [503] * 4
    assert [each.headers.get("retry-after") for each in refused] == ["5", "5", "5", None]
    assert refused[0].json()["detail"] == "the backend cannot be reached now, or has no room"
    assert "an event could not be taken over HTTP: the disk is full" in caplog.messages
    assert refused[3].json() == {"ready": False, "runtime": True, "backend": False}
    assert (live.status_code, live.json()) == (200, {"live": True})


def test_a_queue_that_stays_full_is_not_waited_for_as_an_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """202 would be a lie: the event was not taken."""

    async def go() -> httpx.Response:
        never = asyncio.Event()
        backend = MemoryBackend(queue_max=1)

        async def block(event: Event[Any]) -> None:
            await never.wait()

        system = System([paying(lambda _: Emit(CardCharged("r"), domain="ops"))])
        async with Runtime(system, backend) as runtime, client_of(asgi_app(runtime)) as client:
            runtime.on_domain("ops")(block)
            await runtime.send(charging("c1"))
            refused = await post(client, charging("c2"), prefer="wait=1")
            never.set()
            return refused

    refused = within(go())

    assert refused.status_code == 503
    assert "was not taken within 1 s" in caplog.text


def test_a_workflow_is_shown_with_what_it_waits_for_and_not_with_what_it_remembers() -> None:
    """Its state may hold what strangers shall not read."""

    async def talk(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        await runtime.send(placing())
        await runtime.drain(timeout=10)
        subject = placing().subject
        paths = (in_path(subject), quote(subject, safe=""), subject)
        return [await client.get(f"/workflows/{path}") for path in paths]

    shown = asking(patient, talk)

    assert [each.status_code for each in shown] == [200] * 3
    said = shown[0].json()
    assert all(each.json() == said for each in shown)
    assert said["status"] == "active"
    assert [each["type"] for each in said["requests"]] == ["com.payment.charge"]
    assert [each["name"] for each in said["timers"]] == ["reminder"]
    assert "state" not in said
    assert shown[0].headers["cache-control"] == "no-store"


def test_a_workflow_that_failed_says_why() -> None:
    """The name and the message, no stack (B37)."""

    async def talk(client: httpx.AsyncClient, runtime: Runtime) -> httpx.Response:
        await runtime.send(placing())
        await runtime.drain(timeout=10)
        return await client.get(f"/workflows/{in_path(placing().subject)}")

    shown = asking(System([workflow(lambda _: Fail("no stock"))]), talk)

    assert shown.json()["failure"] == {"name": "Fail", "message": "no stock"}


@pytest.mark.parametrize(
    "path",
    [
        in_path(str(Subject.new("arvo.orc.other", "1.0.0", initiator="com.a.b", id="x"))),
        "com.shop.web",
        "%00",
        "a%20b",
        "",
        "eJw" + "A" * 60_000,
    ],
)
def test_a_workflow_that_nobody_knows_is_not_found(path: str) -> None:
    """Odd names never reach the store."""

    async def talk(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await client.get(httpx.URL(f"http://edge/workflows/{path}"))

    assert asking(shop, talk).status_code == 404


def test_the_root_app_starts_and_stops_the_runtime() -> None:
    """uvicorn runs its lifespan: nothing else is needed."""
    runtime = Runtime(shop)

    async def go() -> tuple[int, bool, dict[str, Any]]:
        async with served(asgi_app(runtime)) as url, httpx.AsyncClient(base_url=url) as client:
            ready = (await client.get("/ready")).json()
            answered = await post(client, placing(), "binary", prefer="wait=10")
            return answered.status_code, runtime.is_working, ready

    assert within(go()) == (200, True, {"ready": True, "runtime": True, "backend": True})
    assert not runtime.is_working


def test_mounted_in_another_app_it_serves_a_runtime_that_runs() -> None:
    """Only the lifespan of the root app is run; until that has started it: 503."""

    async def go() -> Any:
        runtime = Runtime(shop)
        app = Starlette(routes=[Mount("/events", asgi_app(runtime))])
        async with client_of(app) as client:
            client.base_url = httpx.URL("http://edge/events")
            early = await post(client, placing())
            ready = await client.get("/ready")
            async with runtime:
                taken = await post(client, placing())
                await runtime.drain(timeout=10)
                root = httpx.URL("http://edge")
                shown = await client.get(root.join(taken.headers["location"]))
        return early, ready, taken, shown

    early, ready, taken, shown = within(go())

    assert (early.status_code, ready.status_code) == (503, 503)
    assert ready.json() == {"ready": False, "runtime": False, "backend": False}
    assert taken.headers["location"].startswith("/events/workflows/")
    assert shown.json()["status"] == "done"


def test_a_client_that_goes_away_in_the_middle_is_no_bug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A log full of stack traces hides the one that matters."""

    async def go() -> Any:
        sent: list[Any] = []
        messages = iter([{"type": "http.request", "body": b"{", "more_body": True}])

        async def receive() -> Any:
            return next(messages, {"type": "http.disconnect"})

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/", "query_string": b"",
            "headers": [(b"content-type", b"application/cloudevents+json")],
        }  # fmt: skip
        async with Runtime(shop) as runtime:
            await asgi_app(runtime)(scope, receive, send)
        return sent[0]["status"]

    assert within(go()) == 400
    assert caplog.records == []
