"""App: a runtime as an ASGI app that accepts events over HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import httpx
import orjson
import pytest
import uvicorn
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
from arvo.interpreters.http import events
from arvo.interpreters.http.binding import BATCH, Mode, read_events
from arvo.interpreters.http.workflow_json import to_path
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Message
from tests.core.contracts.test_versioned_workflow import begin
from tests.interpreters.http.serving import client_of, post, serve, with_client
from tests.interpreters.within import within
from tests.logged import logged
from tests.shop import (
    CardCharged,
    ChargeCard,
    PlaceOrder,
    charge_request,
    make_workflow,
    order_request,
    payment_handler,
    shop,
)

PROBLEM = "application/problem+json"
WRONG = Event.from_dict({**charge_request().to_dict(), "data": {"order_id": 1, "amount": 2.0}})


def waiting(turn: Turn[Any]) -> Any:
    """Request a payment, which gets no reply, and set a timer."""
    if isinstance(turn.event.data, PlaceOrder):
        return Emit(ChargeCard("o1", 1.0)), Schedule("reminder", after=3600.0, payload={})
    return ()


waiting_system = System([make_workflow(waiting), payment_handler(lambda _: None)])


def test_an_accepted_event_gets_the_location_of_its_workflow() -> None:
    """A client can look at the workflow that it began."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        accepted = await post(client, order_request())
        await runtime.drain(timeout=60)
        return accepted, await client.get(accepted.headers["location"])

    accepted, shown = with_client(shop, use)

    assert accepted.status_code == 202
    assert accepted.json() == {"id": "i1", "subject": order_request().subject}
    assert shown.status_code == 200
    assert shown.json()["status"] == "done"
    assert shown.json()["subject"] == order_request().subject


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_a_client_that_waits_gets_the_answer_in_the_mode_of_its_request(mode: Mode) -> None:
    """It can read the mode that it writes."""

    async def use(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await post(client, order_request(), mode, prefer="wait=10")

    response = with_client(shop, use)

    assert response.status_code == 200
    assert response.headers["preference-applied"] == "wait=10"
    assert ("ce-id" in response.headers) == (mode == "binary")
    [event] = read_events(response.headers.raw, response.content)
    assert (event.type, event.raw["tracking"]) == ("arvo.orc.order.fulfil.done", "t-o1")


def test_the_work_goes_on_after_the_wait() -> None:
    """A workflow may take days, but a connection cannot stay open for so long."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        late = await post(client, order_request(), prefer="wait=1")
        return late, await runtime.record(order_request().subject)

    late, record = with_client(waiting_system, use)

    assert late.status_code == 202
    assert late.json()["subject"] == order_request().subject
    assert late.headers["preference-applied"] == "wait=1"
    assert record is not None
    assert record.status == "active"


def test_a_system_error_is_an_answer_like_any_other() -> None:
    """With another status than 200, proxies would send the event again."""

    async def use(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await post(client, order_request(), prefer="wait=10")

    response = with_client(System([make_workflow(lambda _: Fail("no stock"))]), use)

    assert response.status_code == 200
    [event] = read_events(response.headers.raw, response.content)
    assert event.type == "sys.arvo.orc.order.fulfil.error"


def test_a_handler_without_an_answer_ends_the_wait() -> None:
    """The event was accepted, and no answer will follow."""

    async def use(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await post(client, charge_request(), prefer="wait=60")

    accepted = with_client(System([payment_handler(lambda _: None)]), use)

    assert accepted.status_code == 202
    assert "location" not in accepted.headers


def test_a_client_that_lost_its_connection_can_repeat_its_request(tmp_path: Path) -> None:
    """The duplicate changes nothing, and the answer is still available."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        await post(client, order_request())
        await runtime.drain(timeout=60)
        again = await post(client, order_request(), prefer="wait=10")
        return again, runtime.stats().handled

    again, handled = with_client(shop, use, f"sqlite:///{tmp_path / 'arvo.db'}")

    assert again.status_code == 200
    assert handled == 5
    [event] = read_events(again.headers.raw, again.content)
    assert event.type == "arvo.orc.order.fulfil.done"


def test_another_event_by_a_known_id_is_a_conflict() -> None:
    """Its client must not read the answer to another client."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        await post(client, order_request())
        await runtime.drain(timeout=60)
        other = await post(client, order_request(amount=11.0), prefer="wait=10")
        return other.status_code, [issue["field"] for issue in other.json()["issues"]]

    assert with_client(shop, use) == (409, ["id"])


def test_a_workflow_is_begun_once_and_found_by_its_id() -> None:
    """By any event that says the same; another payload is a conflict, waited for or not."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        first = await post(client, begin(), prefer="wait=10")
        again = await post(client, begin(id="again"), prefer="wait=10")
        others = [
            await post(client, begin(11.0)),
            await post(client, begin(11.0, id="other"), prefer="wait=10"),
        ]
        shown = await client.get("/workflows/order-1")
        return first, again, [other.status_code for other in others], shown.json()

    first, again, others, shown = with_client(shop, use)

    assert (first.status_code, again.status_code, others) == (200, 200, [409, 409])
    assert first.json() == again.json()
    assert (shown["workflow_id"], shown["subject"]) == ("order-1", begin().subject)


def test_another_request_by_a_known_id_is_a_conflict() -> None:
    """A handler without memory has handled the first one; its client must use a new id."""

    async def use(client: httpx.AsyncClient, _: Runtime) -> Any:
        first = await post(client, charge_request(), prefer="wait=10")
        other = await post(client, charge_request(amount=11.0), prefer="wait=10")
        return first.status_code, other.status_code, other.json()["issues"][0]["expected"]

    expected = "a new id, or the content of the event that was consumed"
    assert with_client(shop, use) == (200, 409, expected)


def test_an_answer_that_another_process_received_is_found(tmp_path: Path) -> None:
    """Of several processes on one backend, any of them may receive it."""
    url = f"sqlite:///{tmp_path / 'arvo.db'}"

    async def go() -> list[int]:
        # Four runtimes: most answers are received by one that did not send the request.
        async with (
            Runtime(shop, url),
            Runtime(shop, url),
            Runtime(shop, url),
            Runtime(shop, url) as runtime,
            client_of(asgi_app(runtime)) as client,
        ):
            requests = (post(client, order_request(f"i{n}"), prefer="wait=20") for n in range(12))
            return [response.status_code for response in await asyncio.gather(*requests)]

    assert within(go()) == [200] * 12


def test_a_batch_is_accepted_as_a_whole() -> None:
    """HTTP binding §3.3; each event has an entry in the response."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        body = orjson.dumps([order_request(key).to_dict() for key in ("a", "b")])
        accepted = await client.post("/", content=body, headers={"content-type": BATCH})
        return accepted, await runtime.drain(timeout=60)

    accepted, stats = with_client(shop, use)

    assert accepted.status_code == 202
    assert [entry["id"] for entry in accepted.json()] == ["a", "b"]
    assert stats.unclaimed == 2


def test_a_batch_with_a_bad_event_is_refused_as_a_whole() -> None:
    """The sender corrects the event and sends the whole batch again."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        good = order_request()
        bad = WRONG
        body = orjson.dumps([good.to_dict(), bad.to_dict()])
        refused = await client.post("/", content=body, headers={"content-type": BATCH})
        return refused, (await runtime.drain(timeout=60)).handled

    refused, handled = with_client(shop, use)

    assert (refused.status_code, handled) == (400, 0)


@pytest.mark.parametrize(
    ("event", "status", "field"),
    [
        (WRONG, 400, "data.order_id"),
        (
            evolve(charge_request(), dataschema="#/contracts/payment/charge/9.9.9"),
            400,
            "dataschema",
        ),
        (evolve(order_request(), subject="junk"), 400, "subject"),
        (evolve(charge_request(), to="com.no.one"), 404, "to"),
    ],
    ids=["payload", "version", "subject", "address"],
)
def test_an_event_that_no_handler_accepts_is_refused(
    event: Event[Any], status: int, field: str
) -> None:
    """Its sender is still connected; after it was accepted, it would be a dead letter."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        return await post(client, event), await runtime.dead_letters()

    refused, dead_letters = with_client(shop, use)

    assert refused.status_code == status
    assert refused.headers["content-type"] == PROBLEM
    content = refused.json()
    assert (content["status"], content["issues"][0]["field"]) == (status, field)
    assert set(content["issues"][0]) == {"field", "expected", "got"}
    assert dead_letters == ()


def test_a_reply_that_breaks_its_contract_is_refused_too() -> None:
    """The workflow that waits for it determines the contract."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> httpx.Response:
        await runtime.send(order_request())
        await runtime.drain(timeout=60)
        return await post(client, evolve(order_request("i2"), type="evt.payment.charged"))

    refused = with_client(waiting_system, use)

    assert refused.status_code == 400
    assert refused.json()["issues"][0]["field"] == "dataschema"


def test_an_event_that_is_too_late_is_refused() -> None:
    """409: not in the current state of the workflow."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> httpx.Response:
        await runtime.request(order_request(), timeout=60)
        second = evolve(order_request("i2"), subject=order_request().subject)
        return await post(client, second, prefer="wait=10")

    refused = with_client(shop, use)

    assert refused.status_code == 409
    assert "the workflow has already started" in refused.json()["detail"]


def test_a_second_request_with_the_same_event_is_refused_while_the_first_waits() -> None:
    """Both would wait for the same answer; the second client may repeat its request later."""

    async def use(client: httpx.AsyncClient, _: Runtime) -> Any:
        first = asyncio.create_task(post(client, order_request(), prefer="wait=2"))
        await asyncio.sleep(0.2)
        second = await post(client, order_request(), prefer="wait=2")
        return (await first).status_code, second

    first, second = with_client(waiting_system, use)

    assert (first, second.status_code) == (202, 409)
    assert second.json()["issues"][0]["field"] == "id"


def test_an_event_that_is_too_large_for_the_broker_is_refused_with_its_error() -> None:
    """Its limit may be lower than that of HTTP, and only an operator can raise it."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> list[httpx.Response]:
        async def send(event: Event[Any]) -> None:
            raise TooLarge("raise max_payload (1048576)")

        vars(runtime)["_send"] = send
        return [
            await post(client, order_request()),
            await post(client, order_request(), prefer="wait=5"),
        ]

    for refused in with_client(shop, use):
        assert refused.status_code == 413
        assert "raise max_payload (1048576)" in refused.text


@pytest.mark.parametrize("length", [True, False], ids=["content-length", "streamed"])
def test_a_request_that_is_too_large_is_refused_before_it_is_read(length: bool) -> None:
    """No request may fill the memory."""
    read_so_far = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read_so_far
        while read_so_far < 4 * EVENT_BYTES_MAX:
            read_so_far += 65536
            yield b" " * 65536

    async def use(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        headers = {"content-type": BATCH}
        if length:
            headers["content-length"] = str(EVENT_BYTES_MAX + 1)
        return await client.post("/", content=body(), headers=headers)

    refused = with_client(shop, use)

    assert refused.status_code == 413
    assert refused.headers["content-type"] == PROBLEM
    assert read_so_far <= (0 if length else EVENT_BYTES_MAX + 65536)


@pytest.mark.parametrize("kind", ["text/plain", "application/cloudevents+avro"])
def test_an_unknown_content_type_is_refused_with_the_known_ones(kind: str) -> None:
    """415, and `Accept` lists the supported types."""

    async def use(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await client.post("/", content=b"hello", headers={"content-type": kind})

    refused = with_client(shop, use)

    assert refused.status_code == 415
    assert "application/cloudevents+json" in refused.headers["accept"]


def test_other_methods_and_paths_are_problems_too() -> None:
    """A client needs only one way to read errors."""

    async def use(client: httpx.AsyncClient, _: Runtime) -> Any:
        return await client.get("/"), await client.get("/nothing")

    wrong_method, wrong_path = with_client(shop, use)

    assert (wrong_method.status_code, wrong_path.status_code) == (405, 404)
    headers = wrong_method.headers
    assert (headers["content-type"], headers["allow"]) == (PROBLEM, "POST")
    assert wrong_path.headers["content-type"] == PROBLEM


class UnavailableBackend:
    """A backend that cannot be reached."""

    def __init__(self) -> None:
        self.inner = MemoryBackend()

    async def send(self, _: Message) -> None:
        """Fail."""
        raise Unavailable("the disk is full")

    async def commit_chains(self, _: Any) -> Any:
        """Fail."""
        raise Unavailable("the disk is full")

    async def load(self, _: str) -> Any:
        """Fail."""
        raise Unavailable("the disk is full")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_an_unavailable_backend_is_not_the_clients_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """503, and when to try again; only the log has the reason."""

    async def go() -> Any:
        backend = cast("Backend", UnavailableBackend())
        async with Runtime(shop, backend) as runtime, client_of(asgi_app(runtime)) as client:
            return (
                await post(client, order_request()),
                await post(client, order_request(), prefer="wait=5"),
                await client.get(f"/workflows/{to_path(order_request().subject)}"),
                await client.get("/ready"),
                await client.get("/live"),
            )

    *refused, live = within(go())

    assert [response.status_code for response in refused] == [503] * 4
    retries = [response.headers.get("retry-after") for response in refused]
    assert retries == ["5", "5", "5", None]
    assert refused[0].json()["detail"] == "the backend is unavailable or full, try again later"
    assert {"reason": "the disk is full"} in logged(caplog.records, "a request failed")
    assert refused[3].json() == {"ready": False, "runtime": True, "backend": False}
    assert (live.status_code, live.json()) == (200, {"live": True})


def test_a_queue_that_stays_full_is_unavailable(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """202 would be wrong, because the event was not accepted."""

    async def go() -> httpx.Response:
        never = asyncio.Event()
        backend = MemoryBackend(queue_max=1)

        async def block(event: Event[Any]) -> None:
            await never.wait()

        system = System([payment_handler(lambda _: Emit(CardCharged("r"), domain="ops"))])
        async with Runtime(system, backend) as runtime, client_of(asgi_app(runtime)) as client:
            runtime.on_domain("ops")(block)
            await runtime.send(charge_request("c1"))
            refused = await post(client, charge_request("c2"), prefer="wait=1")
            never.set()
            return refused

    refused = within(go())

    assert refused.status_code == 503
    reason = "event 'c2' was not taken: the backend had no room, or did not answer, within 1 s"
    assert logged(caplog.records, "a request failed") == [{"reason": reason}]


def test_the_description_of_a_workflow_does_not_contain_its_state() -> None:
    """The state may hold data that a client must not read."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> Any:
        await runtime.send(order_request())
        await runtime.drain(timeout=60)
        subject = order_request().subject
        paths = (to_path(subject), quote(subject, safe=""), subject)
        return [await client.get(f"/workflows/{path}") for path in paths]

    shown = with_client(waiting_system, use)

    assert [response.status_code for response in shown] == [200] * 3
    content = shown[0].json()
    assert all(response.json() == content for response in shown)
    assert content["status"] == "active"
    assert [request["type"] for request in content["requests"]] == ["com.payment.charge"]
    assert [timer["name"] for timer in content["timers"]] == ["reminder"]
    assert (content["waiting_for"], content["unread_signals"]) == ([], [])
    assert content["dead_letters"] == []
    assert "state" not in content
    assert shown[0].headers["cache-control"] == "no-store"


def test_a_failed_workflow_has_its_error_without_a_stack_trace() -> None:
    """B37: an error that leaves the system carries its name and message, but no stack."""

    async def use(client: httpx.AsyncClient, runtime: Runtime) -> httpx.Response:
        await runtime.send(order_request())
        await runtime.drain(timeout=60)
        return await client.get(f"/workflows/{to_path(order_request().subject)}")

    shown = with_client(System([make_workflow(lambda _: Fail("no stock"))]), use)

    assert shown.json()["failure"] == {"name": "Fail", "message": "no stock"}


@pytest.mark.parametrize(
    "path",
    [
        to_path(str(Subject.new("arvo.orc.other", "1.0.0", initiator="com.a.b", id="x"))),
        "com.shop.web",
        "%00",
        "a%20b",
        "",
        "eJw" + "A" * 60_000,
    ],
)
def test_an_unknown_workflow_is_not_found(path: str) -> None:
    """A path that is no subject does not reach the store."""

    async def use(client: httpx.AsyncClient, _: Runtime) -> httpx.Response:
        return await client.get(httpx.URL(f"http://app/workflows/{path}"))

    assert with_client(shop, use).status_code == 404


def test_the_root_app_starts_and_stops_the_runtime() -> None:
    """Its lifespan is enough for a server such as uvicorn."""
    runtime = Runtime(shop)

    async def go() -> tuple[int, bool, dict[str, Any]]:
        async with serve(asgi_app(runtime)) as url, httpx.AsyncClient(base_url=url) as client:
            ready = (await client.get("/ready")).json()
            response = await post(client, order_request(), "binary", prefer="wait=10")
            return response.status_code, runtime.is_working, ready

    assert within(go()) == (200, True, {"ready": True, "runtime": True, "backend": True})
    assert not runtime.is_working


def test_a_mounted_app_serves_a_running_runtime() -> None:
    """Only the lifespan of the root app runs; before it has started the runtime: 503."""

    async def go() -> Any:
        runtime = Runtime(shop)
        app = Starlette(routes=[Mount("/events", asgi_app(runtime))])
        async with client_of(app) as client:
            client.base_url = httpx.URL("http://app/events")
            early = await post(client, order_request())
            ready = await client.get("/ready")
            async with runtime:
                accepted = await post(client, order_request())
                await runtime.drain(timeout=60)
                root = httpx.URL("http://app")
                shown = await client.get(root.join(accepted.headers["location"]))
        return early, ready, accepted, shown

    early, ready, accepted, shown = within(go())

    assert (early.status_code, ready.status_code) == (503, 503)
    assert ready.json() == {"ready": False, "runtime": False, "backend": False}
    assert accepted.headers["location"].startswith("/events/workflows/")
    assert shown.json()["status"] == "done"


SCOPE: dict[str, Any] = {
    "type": "http", "method": "POST", "path": "/", "query_string": b"",
    "headers": [(b"content-type", b"application/cloudevents+json")],
}  # fmt: skip


async def answer_to(receive: Callable[[], Awaitable[Any]], scope: Any = SCOPE) -> dict[str, Any]:
    """Serve a request whose body comes from *receive*; return the start of the response."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async with Runtime(shop) as runtime:
        await asgi_app(runtime)(scope, receive, send)
    start: dict[str, Any] = sent[0]
    return start


def test_a_body_that_does_not_end_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends a byte now and then would hold its connection for ever."""
    monkeypatch.setattr(events, "BODY_SECONDS_MAX", 0.02)

    async def receive() -> Any:
        await asyncio.sleep(0.001)
        return {"type": "http.request", "body": b" ", "more_body": True}

    start = within(answer_to(receive))

    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]


@pytest.mark.parametrize("kind", [b"text/plain", BATCH.encode()])
def test_the_connection_of_a_body_that_is_not_read_is_closed(kind: bytes) -> None:
    """The server would otherwise read the rest, which may be endless."""

    async def receive() -> Any:
        return {"type": "http.request", "body": b" " * 65536, "more_body": True}

    start = within(answer_to(receive, {**SCOPE, "headers": [(b"content-type", kind)]}))

    assert start["status"] in (413, 415)
    assert (b"connection", b"close") in start["headers"]


def test_a_real_server_closes_the_connection_of_an_endless_body() -> None:
    """uvicorn does, for the response says so."""

    async def go() -> tuple[bytes, bool]:
        async with Runtime(shop) as runtime:
            config = uvicorn.Config(asgi_app(runtime), lifespan="off", log_config=None)
            server = uvicorn.Server(config)
            listening = socket.create_server(("127.0.0.1", 0))
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\n")
            writer.write(b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
            # To the end of the stream, which only the server can bring about.
            response = await reader.read()
            writer.close()
            server.should_exit = True
            await serving
            return response.partition(b"\r\n")[0], b"connection: close" in response

    assert within(go()) == (b"HTTP/1.1 415 Unsupported Media Type", True)


def test_a_client_that_disconnects_early_is_no_error_of_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Stack traces in the log would hide the one that matters."""

    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}])

    async def receive() -> Any:
        return next(messages, {"type": "http.disconnect"})

    assert within(answer_to(receive))["status"] == 400
    assert caplog.records == []


def test_an_answer_has_null_attributes_for_a_client_with_the_profile_of_arvo() -> None:
    """The TypeScript packages cannot construct an event without them."""

    async def use(client: httpx.AsyncClient, _: Runtime) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = []
        for profile in ("", "; profile=arvo"):
            headers = {
                "content-type": f"application/cloudevents+json{profile}",
                "prefer": "wait=30",
            }
            content = charge_request(f"c{len(answers)}").to_json()
            answers.append((await client.post("/", content=content, headers=headers)).json())
        return answers

    plain, full = with_client(shop, use)

    assert "accesscontrol" not in plain
    assert full["accesscontrol"] is None
