"""Signature: requests and responses that their senders have signed, by Standard Webhooks."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import standardwebhooks
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from arvo import DeadLetter, Retry, Runtime, System, Violated
from arvo.core.payloads.frozen_json import EMPTY
from arvo.http import Webhook, asgi_app
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.http.binding import read_events, write_event
from arvo.interpreters.http.signature import Secrets, webhook_id
from tests.interpreters.http.serving import client_of
from tests.interpreters.http.test_webhook import order_system
from tests.interpreters.within import within
from tests.shop import CardCharged, charge_request, order_request, payments, reply_to, shop

# The secret and the message of the standard's own libraries.
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + b64encode(b"another secret of 32 bytes in all").decode()
BODY = b'{"test": 2432232314}'
VECTOR = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def signed_headers(
    secret: str | list[str] = SECRET,
    changes: Mapping[str, str] = EMPTY,
    *,
    age: timedelta = timedelta(),
) -> dict[str, str]:
    """Return the headers of a signed request, made by the standard's own library."""
    message, at = write_event(charge_request(), "structured"), utc_now() - age
    signed = Secrets.parse(secret).sign("msg_1", at, message.body)
    return {**message.headers, **signed, **changes}


def send_with(
    headers: dict[str, str], secrets: Any, body: bytes | None = None, allow: Any = None
) -> httpx.Response:
    """Post an event to an app with secrets."""

    async def go() -> httpx.Response:
        content = write_event(charge_request(), "structured").body if body is None else body
        async with Runtime(shop) as runtime:
            app = asgi_app(runtime, secrets=secrets, allow=allow)
            async with client_of(app) as client:
                return await client.post("/", content=content, headers=headers)

    return within(go())


def test_a_message_is_signed_as_the_standard_signs_it() -> None:
    """Any partner can verify it with a library of its own language."""
    at = datetime.fromtimestamp(1614265330, UTC)

    assert Secrets.parse(SECRET).sign(VECTOR["webhook-id"], at, BODY) == VECTOR


@pytest.mark.promise("I12")
def test_an_old_message_is_refused() -> None:
    """I12: a recorded message cannot be sent again later."""
    raw = [(name.encode(), value.encode()) for name, value in VECTOR.items()]

    refused = Secrets.parse(SECRET).refuse(raw, BODY)

    assert refused is not None
    assert refused.got == "'Message timestamp too old'"


def test_a_signed_event_is_accepted_and_its_response_is_signed() -> None:
    """The caller is the partner whose secret it is."""
    callers: list[str] = []

    def allow(caller: Any, *_: Any) -> bool:
        callers.append(caller.display_name)
        return True

    secrets = {"bank": OTHER, "shop": [SECRET]}
    response = send_with({**signed_headers(), "prefer": "wait=10"}, secrets, allow=allow)

    assert response.status_code == 200
    assert callers == ["shop"]
    standardwebhooks.Webhook(SECRET).verify(response.content, dict(response.headers))


def test_a_secret_is_replaced_while_messages_are_under_way() -> None:
    """A sender with both secrets is accepted by a receiver with either, and the reverse."""
    both = [SECRET, OTHER]

    assert [
        send_with(signed_headers(sender), {"shop": receiver}).status_code
        for sender, receiver in ((both, SECRET), (both, OTHER), (SECRET, both), (OTHER, both))
    ] == [202] * 4


@pytest.mark.promise("I12")
@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda: signed_headers(OTHER), "No matching signature found"),
        (lambda: signed_headers(SECRET, {"webhook-id": "msg_2"}), "No matching signature found"),
        (
            lambda: signed_headers(SECRET, {"webhook-signature": "v1a,AAAA"}),
            "No matching signature found",
        ),
        (lambda: signed_headers(SECRET, {"webhook-signature": "v1,A"}), ""),
        (lambda: signed_headers(SECRET, {"webhook-signature": "nonsense"}), ""),
        (
            lambda: signed_headers(SECRET, {"webhook-timestamp": "soon"}),
            "Invalid Signature Headers",
        ),
        (lambda: signed_headers(SECRET, {"webhook-timestamp": "nan"}), "Invalid Signature Headers"),
        (lambda: signed_headers(age=timedelta(minutes=6)), "Message timestamp too old"),
        (lambda: signed_headers(age=timedelta(minutes=-6)), "Message timestamp too new"),
        (lambda: write_event(charge_request(), "structured").headers, "Missing required headers"),
    ],
)
def test_a_request_that_no_partner_has_signed_is_refused(
    make: Callable[[], Mapping[str, str]], got: str
) -> None:
    """I12: it is 401, and names the header and the reason, but no secret."""
    response = send_with(dict(make()), {"shop": SECRET})

    assert response.status_code == 401
    [issue] = response.json()["issues"]
    assert issue["field"] == "webhook-signature"
    assert got in issue["got"]
    assert SECRET[6:] not in response.text


@pytest.mark.promise("I12")
@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\xfe"])
def test_another_body_is_refused(body: bytes) -> None:
    """I12: a signature covers the body."""
    response = send_with(signed_headers(), {"shop": SECRET}, body)

    assert response.status_code == 401


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", SECRET[6:], "whsec_c2hvcnQ=", "whsec_not base64", f"whsec_{'QUFB' * 22}", []],
)
@pytest.mark.parametrize("make", ["app", "webhook"])
def test_a_secret_that_is_none_is_refused_when_it_is_configured(secret: Any, make: str) -> None:
    """The error does not show it: a text that is nearly right is nearly a secret."""

    async def go() -> None:
        if make == "app":
            asgi_app(Runtime(shop), secrets={"shop": secret})
        async with httpx.AsyncClient() as client:
            Webhook(Runtime(shop), client, "http://partner/", secret=secret)

    with pytest.raises(Violated, match=r"secret: expected whsec_ and 24 to 64 bytes") as refused:
        within(go())

    assert "base64, got" in str(refused.value)
    assert not secret[6:] or str(secret[6:]) not in str(refused.value)


def test_a_webhook_without_a_secret_cannot_verify_answers() -> None:
    """Otherwise it would accept all."""

    async def go() -> None:
        async with httpx.AsyncClient() as client:
            Webhook(Runtime(shop), client, "http://partner/", signed_answers=True)

    with pytest.raises(Violated, match="secret: expected one"):
        within(go())


def test_a_webhook_does_not_show_its_secret() -> None:
    """Its representation may be logged."""

    async def go() -> str:
        async with httpx.AsyncClient() as client:
            return repr(Webhook(Runtime(shop), client, "http://partner/", secret=SECRET))

    assert SECRET[6:] not in within(go())


async def order_from(
    partner: Callable[[Request], Any],
) -> tuple[tuple[DeadLetter, ...], str]:
    """Place an order with a partner for payments whose answers must be signed."""
    app = Starlette(routes=[Route("/", partner, methods=["POST"])])
    retry = Retry(attempts=3, delay=0.01)
    async with client_of(app) as client, Runtime(order_system, retry=retry) as runtime:
        url = "http://partner/"
        webhook = Webhook(runtime, client, url, secret=[OTHER, SECRET], signed_answers=True)
        runtime.on_domain("bank")(webhook)
        await runtime.send(order_request())
        await runtime.drain(timeout=60)
        record = await runtime.record(order_request().subject)
        assert record is not None
        return await runtime.dead_letters(), record.status


def test_a_repeated_request_is_signed_with_the_same_id() -> None:
    """The partner recognises a post that is repeated after an outage."""
    ids: list[str] = []

    async def partner(request: Request) -> Response:
        body = await request.body()
        for secret in (SECRET, OTHER):
            standardwebhooks.Webhook(secret).verify(body, dict(request.headers))
        ids.append(request.headers["webhook-id"])
        [event] = read_events(request.headers.raw, body)
        assert ids[-1] == webhook_id(event)
        return Response("", 503 if len(ids) == 1 else 204)

    dead_letters, _ = within(order_from(partner))

    assert dead_letters == ()
    assert len(ids) == 2
    assert len(set(ids)) == 1


@pytest.mark.promise("I12")
@pytest.mark.parametrize("secret", [SECRET, None, "whsec_" + "QUFB" * 8])
def test_only_a_signed_answer_enters(secret: str | None) -> None:
    """I12: a proxy on the way to the partner cannot answer in its name."""

    async def partner(request: Request) -> Response:
        [event] = read_events(request.headers.raw, await request.body())
        message = write_event(reply_to(event, CardCharged("r-1")), "structured")
        headers = dict(message.headers)
        if secret is not None:
            headers |= Secrets.parse(secret).sign("msg_2", utc_now(), message.body)
        return Response(message.body, 200, headers)

    dead_letters, status = within(order_from(partner))

    if secret == SECRET:
        assert (dead_letters, status) == ((), "done")
        return
    [dead_letter] = dead_letters
    assert "partner is not signed by the partner" in dead_letter.reason
    assert "webhook-signature: expected a signature" in dead_letter.reason


def test_two_systems_exchange_signed_events() -> None:
    """One secret for both directions; the other side is an app of this library."""

    async def go() -> Any:
        async with Runtime(System([payments])) as bank:
            app = asgi_app(bank, secrets={"shop": SECRET})
            async with (
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(app), headers={"prefer": "wait=10"}
                ) as client,
                Runtime(order_system) as runtime,
            ):
                webhook = Webhook(
                    runtime, client, "http://bank/", secret=SECRET, signed_answers=True
                )
                runtime.on_domain("bank")(webhook)
                answer = await asyncio.wait_for(runtime.request(order_request()), 60)
                return answer.raw

    assert within(go()) == {"tracking": "t-o1"}


def test_the_id_of_a_message_depends_on_the_source_too() -> None:
    """Two senders may give their events the same id."""
    ids = {
        webhook_id(charge_request("1", source=source))
        for source in ("com.a.b", "com.b.b", "com.a.b1")
    }

    assert len(ids) == 3
    assert webhook_id(charge_request("1")) == webhook_id(charge_request("1"))
