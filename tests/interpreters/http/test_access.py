"""Access: the application decides which caller may send and read what."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from attrs import evolve
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection
from starlette.routing import Mount

from arvo import (
    Contract,
    Emit,
    Event,
    OrchestratorContract,
    Record,
    Resumable,
    Runtime,
    System,
    Turn,
    Version,
    Workflow,
)
from arvo.core.events.event import Event as AnyEvent
from arvo.http import Webhook, asgi_app
from arvo.interpreters.http import access
from arvo.interpreters.http.access import Allow, Verb
from arvo.interpreters.http.binding import BATCH
from arvo.interpreters.http.workflow_json import to_path
from tests.interpreters.http.serving import client_of, post
from tests.interpreters.inside import send_inside
from tests.interpreters.within import within
from tests.logged import logged
from tests.shop import (
    SERVICES,
    WEB,
    BookShipment,
    CardCharged,
    ChargeCard,
    PlaceOrder,
    charge_request,
    make_workflow,
    order,
    order_request,
    payments,
    reply_to,
    shop,
)

Asked = tuple[Any, Verb, str | None, str | None]
BEGIN = order_request()
CANCEL = order["1.0.0"].cancel("no longer needed", source="com.shop.web", subject=BEGIN.subject)

pause = Contract(
    uri="#/pause", type="com.shop.pause", versions={"1.0.0": Version(accepts=PlaceOrder)}
)


def ask_outside(turn: Turn[Any]) -> Any:
    """Request a payment from a domain, and wait."""
    if isinstance(turn.event.data, PlaceOrder) and turn.event.type == order.type:
        return Emit(ChargeCard("o1", 1.0), domain="bank")
    return None


waiting = System(
    [
        Resumable(order, {"1.0.0": ask_outside}, services=SERVICES, signals=[pause["1.0.0"]]),
        payments,
    ]
)


def use_app(
    allow: Allow | None,
    use: Callable[[httpx.AsyncClient, Runtime, list[Event[Any]]], Any],
    system: System = waiting,
) -> Any:
    """Use a client of an app; the list holds the events that have left by a domain."""

    async def go() -> Any:
        async with Runtime(system) as runtime, client_of(asgi_app(runtime, allow=allow)) as client:
            left: list[Event[Any]] = []
            runtime.on_domain()(left.append)
            return await use(client, runtime, left)

    return within(go())


@pytest.mark.promise("I12")
def test_the_application_is_asked_for_each_verb() -> None:
    """I12: one function sees who wants what, with the event and the record it is about."""
    asked: list[Asked] = []

    def allow(caller: Any, verb: Verb, event: Any, record: Record | None) -> bool:
        asked.append(
            (caller, verb, event and event.type, None if record is None else record.status)
        )
        return True

    async def use(client: httpx.AsyncClient, runtime: Runtime, left: list[Event[Any]]) -> list[int]:
        signal = pause["1.0.0"].accepts(
            PlaceOrder("o1"), source="com.shop.web", subject=BEGIN.subject, to=order.type
        )
        responses = [await post(client, BEGIN), await post(client, charge_request())]
        await runtime.drain(timeout=60)
        responses.append(await post(client, signal))
        responses.append(await post(client, reply_to(left[0], CardCharged("r-1"))))
        responses.append(await client.get(f"/workflows/{to_path(BEGIN.subject)}"))
        await runtime.drain(timeout=60)
        responses.append(await post(client, CANCEL, prefer="wait=10"))
        await runtime.drain(timeout=60)
        record = await runtime.record(BEGIN.subject)
        assert record is not None
        assert record.status == "cancelled"
        return [response.status_code for response in responses]

    assert use_app(allow, use) == [202, 202, 202, 202, 200, 202]
    assert asked == [
        (None, "begin", order.type, None),
        (None, "request", "com.payment.charge", None),
        (None, "signal", "com.shop.pause", "active"),
        (None, "answer", "evt.payment.charged", "active"),
        (None, "describe", None, "active"),
        (None, "cancel", CANCEL.type, "active"),
    ]


@pytest.mark.promise("I12")
@pytest.mark.parametrize("verdict", [False, None, 1, "yes"])
def test_only_true_allows(verdict: Any) -> None:
    """I12: a function that forgets its `return` must not open the door."""

    async def use(client: httpx.AsyncClient, runtime: Runtime, _: Any) -> Any:
        refused = [
            await post(client, BEGIN),
            await client.get(f"/workflows/{to_path(BEGIN.subject)}"),
            await post(client, CANCEL),
        ]
        stats = await runtime.drain(timeout=60)
        return [(each.status_code, each.json()["detail"]) for each in refused], stats.handled

    assert use_app(lambda *_: verdict, use) == (
        [
            (403, "this caller may not begin here"),
            (403, "this caller may not describe here"),
            (403, "this caller may not cancel here"),
        ],
        0,
    )


@pytest.mark.promise("I12")
def test_a_batch_is_authorized_before_its_first_event_is_sent() -> None:
    """I12: a client repeats a refused batch as a whole."""

    async def allow(_: Any, verb: Verb, event: Any, record: Any) -> bool:
        await asyncio.sleep(0)
        return verb == "begin"

    async def use(client: httpx.AsyncClient, runtime: Runtime, _: Any) -> Any:
        batch = f"[{BEGIN.to_json()},{charge_request().to_json()}]"
        refused = await client.post("/", content=batch, headers={"content-type": BATCH})
        stats = await runtime.drain(timeout=60)
        return refused.status_code, stats.handled

    assert use_app(allow, use) == (403, 0)


def test_an_event_that_may_not_enter_is_refused_before_the_application_is_asked() -> None:
    """The application can read the payload without checks of its own."""
    asked: list[Verb] = []

    def allow(_: Any, verb: Verb, event: Any, record: Any) -> bool:
        asked.append(verb)
        return False

    async def use(client: httpx.AsyncClient, runtime: Runtime, left: list[Event[Any]]) -> Any:
        wrong = AnyEvent.from_dict({**BEGIN.to_dict(), "data": {"order_id": 1}})
        no_reason = AnyEvent.from_dict({**CANCEL.to_dict(), "data": {}})
        elsewhere = AnyEvent.from_dict({**CANCEL.to_dict(), "subject": "nothing"})
        await runtime.send(BEGIN)
        await runtime.drain(timeout=60)
        stranger = order["1.0.0"].cancel("x", source="com.x", by="me", subject=BEGIN.subject)
        late = reply_to(left[0], CardCharged("r"), "late")
        await runtime.send(late)
        await runtime.drain(timeout=60)
        again = reply_to(left[0], CardCharged("r"), "again")
        return [
            (await post(client, event)).status_code
            for event in (wrong, no_reason, elsewhere, stranger, again)
        ]

    # The last one is late. That is part of the state of the workflow, and the caller may not know.
    assert use_app(allow, use) == [400, 400, 400, 400, 403]
    assert asked == ["answer"]


@pytest.mark.parametrize("error", [RuntimeError("secret"), SystemExit(1), TimeoutError("secret")])
def test_an_application_that_raises_refuses(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller sees no stack; the log has it."""

    def allow(*_: Any) -> bool:
        raise error

    async def use(client: httpx.AsyncClient, runtime: Runtime, _: Any) -> Any:
        refused = await post(client, BEGIN)
        return refused.status_code, refused.text, (await runtime.drain(timeout=60)).handled

    with caplog.at_level(logging.ERROR, logger="arvo"):
        status, text, handled = use_app(allow, use)

    assert (status, handled) == (500, 0)
    assert "secret" not in text
    assert "Traceback" not in text
    assert logged(caplog.records, "allow raised") == [{"verb": "begin"}]


def test_an_application_that_hangs_refuses_after_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own server may be down, and no request may hang for ever."""
    monkeypatch.setattr(access, "ALLOW_SECONDS_MAX", 0.01)

    async def allow(*_: Any) -> bool:
        await asyncio.Event().wait()
        return True

    async def use(client: httpx.AsyncClient, runtime: Runtime, _: Any) -> Any:
        refused = await post(client, BEGIN)
        return refused.status_code, (await runtime.drain(timeout=60)).handled

    assert use_app(allow, use) == (503, 0)


def test_the_caller_is_the_user_of_the_middleware() -> None:
    """The application says who is who in Starlette's own way."""
    callers: list[str] = []

    class ByHeader(AuthenticationBackend):
        async def authenticate(self, conn: HTTPConnection) -> Any:
            return AuthCredentials([]), SimpleUser(conn.headers["x-user"])

    def allow(caller: Any, verb: Verb, event: Any, record: Any) -> bool:
        callers.append(caller.display_name)
        return bool(caller.display_name == "ada")

    async def go() -> list[int]:
        async with Runtime(shop) as runtime:
            app = Starlette(
                routes=[Mount("/", asgi_app(runtime, allow=allow))],
                middleware=[Middleware(AuthenticationMiddleware, backend=ByHeader())],
            )
            async with client_of(app) as client:
                responses = [
                    await post(client, BEGIN, "structured", **{"x-user": user})
                    for user in ("bob", "ada")
                ]
            return [response.status_code for response in responses]

    assert within(go()) == [403, 202]
    assert callers == ["bob", "ada"]


@pytest.mark.promise("I12")
def test_without_the_application_a_posted_cancellation_is_refused() -> None:
    """I12: an outsider cancels nothing."""

    async def use(client: httpx.AsyncClient, _: Runtime, __: Any) -> Any:
        refused = await post(client, CANCEL)
        return refused.status_code, [issue["field"] for issue in refused.json()["issues"]]

    assert use_app(None, use) == (400, ["type"])


def test_a_parent_cancels_its_child_in_another_system() -> None:
    """By the webhook that began it. The parent waits no more, so it gets no system error."""
    trip = OrchestratorContract(
        uri="#/trip",
        name="trip",
        versions={"1.0.0": Workflow(init=BookShipment, complete=CardCharged)},
    )

    def travel(turn: Turn[Any]) -> Any:
        return (
            Emit(PlaceOrder("o1"), domain="shop")
            if isinstance(turn.event.data, BookShipment)
            else None
        )

    parents = System([Resumable(trip, {"1.0.0": travel}, services=[order["1.0.0"]])])
    children = System([make_workflow(lambda _: None), payments])
    callers: list[Any] = []

    def allow(caller: Any, verb: Verb, event: Any, record: Record | None) -> bool:
        callers.append((caller, verb))
        # The subject of the parent is known to the two systems only.
        return verb == "begin" or (record is not None and event.raw["by"] == record.parent)

    async def go() -> Any:
        async with (
            Runtime(children) as shop_runtime,
            client_of(asgi_app(shop_runtime, allow=allow)) as client,
            Runtime(parents) as runtime,
        ):
            runtime.on_domain("shop")(Webhook(runtime, client, "http://shop/"))
            begin = trip["1.0.0"].init(BookShipment("o1"), source="com.travel.web")
            await runtime.send(begin)
            await runtime.drain(timeout=60)
            await shop_runtime.drain(timeout=60)
            await runtime.cancel(begin.subject, "the traveller is ill")
            await runtime.drain(timeout=60)
            stats = await shop_runtime.drain(timeout=60)
            [child] = await shop_runtime.workflows()
            return child.record.status, stats.unclaimed, await shop_runtime.dead_letters()

    assert within(go()) == ("cancelled", 0, ())
    assert callers == [(None, "begin"), (None, "cancel")]


@pytest.mark.promise("I12")
@pytest.mark.parametrize("data", [{"order_id": "o1"}, {"order_id": 5}], ids=["fits", "does not"])
@pytest.mark.parametrize("signal", ["com.shop.pause", "com.shop.other"])
def test_a_caller_that_may_not_signal_cannot_tell_which_ids_there_are(
    data: dict[str, Any], signal: str
) -> None:
    """I12: nor may it learn by a fault of its payload, or by an id that two runs have."""

    def allow(caller: Any, verb: Verb, event: Any, record: Record | None) -> bool:
        return verb == "begin"

    async def use(client: httpx.AsyncClient, runtime: Runtime, _: object) -> list[tuple[int, Any]]:
        for key, source in (("known", WEB), ("twice", WEB), ("twice", "com.other.shop")):
            begun = order["1.0.0"].init(PlaceOrder("o1"), source=source, workflow_id=key)
            # As two that enter at the same moment.
            await send_inside(runtime, begun)
        await runtime.drain(timeout=60)
        assert (await runtime.find_subject("known")) != "known"
        responses = [
            await client.post(f"/workflows/{key}/signals/{signal}", json={"data": data})
            for key in ("known", "twice", "unknown")
        ]
        responses += [
            await client.get(f"/workflows/{key}{view}")
            for view in ("", "/result", "/events")
            for key in ("known", "twice", "unknown")
        ]
        return [(response.status_code, response.json()["detail"]) for response in responses]

    responses = use_app(allow, use)

    assert responses == [
        (403, f"this caller may not {verb} here")
        for verb in ("signal", "describe", "result", "history")
        for _ in range(3)
    ]


@pytest.mark.promise("I12")
def test_a_caller_that_may_not_answer_cannot_tell_what_a_workflow_waits_for() -> None:
    """I12: the ids of requests follow from those of begins, which may be guessed."""

    def allow(caller: Any, verb: Verb, event: Any, record: Record | None) -> bool:
        return verb == "begin"

    async def use(client: httpx.AsyncClient, runtime: Runtime, left: list[Event[Any]]) -> list[int]:
        await post(client, BEGIN)
        await runtime.drain(timeout=60)
        answers = [
            reply_to(left[0], CardCharged("r-1")),
            reply_to(left[0], CardCharged("r-1"), source="com.mallory"),
            evolve(reply_to(left[0], CardCharged("r-1")), parentid="another"),
        ]
        return [(await post(client, answer)).status_code for answer in answers]

    assert use_app(allow, use) == [403, 403, 403]


def test_a_caller_that_may_signal_learns_what_is_wrong() -> None:
    """404 for an id that no workflow has, and the fault of a payload."""

    async def use(client: httpx.AsyncClient, runtime: Runtime, _: object) -> list[int]:
        await post(client, BEGIN)
        await runtime.drain(timeout=60)
        path = f"/workflows/{to_path(BEGIN.subject)}/signals"
        return [
            (await client.post(url, json={"data": data})).status_code
            for url, data in (
                ("/workflows/unknown/signals/com.shop.pause", {"order_id": "o1"}),
                (f"{path}/com.shop.pause", {"order_id": 5}),
                (f"{path}/com.shop.pause", {"order_id": "o1"}),
            )
        ]

    assert use_app(lambda *_: True, use) == [404, 400, 202]
