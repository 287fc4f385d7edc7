"""HTTP fuzz: no request of any client makes the app fail, hang, leak or keep memory."""

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import pytest
import starlette
from attrs import define, field
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

import arvo
from arvo import Backend, Emit, Event, MemoryBackend, Resumable, Runtime, System, Turn
from arvo.http import asgi_app
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.http.signature import Secrets
from arvo.interpreters.ports.errors import Unavailable
from arvo.testing.simulation.cluster.loop import VirtualLoop
from property_tests.http_requests import BEGIN, Sent, requests
from tests.handlers.test_signals import approve
from tests.shop import SERVICES, ChargeCard, PlaceOrder, charge_request, order, payments

T = TypeVar("T")

SECRET: Final = "whsec_" + "A" * 32
# Each example sends so many requests: 400 of them in `make test`, 5,000 more in `make test-deep`.
REQUESTS: Final = 8
EXAMPLES, DEEP_EXAMPLES = 50, 625
# In virtual time, of which a request that waits takes at most a minute for each of its waits.
SECONDS_MAX: Final = 3600.0
INTERNAL: Final = "internal error, see the log of the server"
SECRETS_OF_A_SERVER: Final = [
    "Traceback (most recent call last)",
    *(str(Path(str(module.__file__)).parent) for module in (arvo, starlette)),
    __file__,
    "0x7",
]


def ask_outside(turn: Turn[Any]) -> Any:
    """Request a payment from a bank, and wait."""
    if isinstance(turn.event.data, PlaceOrder):
        return Emit(ChargeCard("o1", 1.0), domain="bank")
    return None


waiting = Resumable(order, {"1.0.0": ask_outside}, services=SERVICES, signals=[approve["1.0.0"]])
system = System([waiting, payments])


async def _hang(*_: Any) -> bool:
    await asyncio.sleep(3600)
    return True


async def _refuse(*_: Any) -> bool:
    return False


def _raise(*_: Any) -> bool:
    raise RuntimeError("Traceback (most recent call last)")


ALLOWS: Final[dict[str, Any]] = {
    "none": None,
    "all": lambda *_: True,
    "nothing": _refuse,
    "raises": _raise,
    "junk": lambda *_: "yes",
    "junk object": lambda *_: object(),
    "hangs": _hang,
}


@define(eq=False)
class _Backend:
    """A backend in memory that can be made unavailable."""

    inner: MemoryBackend = field(factory=MemoryBackend)
    is_down: bool = False

    async def send(self, message: Any) -> None:
        self._check()
        await self.inner.send(message)

    async def load(self, subject: str) -> Any:
        self._check()
        return await self.inner.load(subject)

    async def commit_chains(self, chains: Any) -> Any:
        self._check()
        return await self.inner.commit_chains(chains)

    def _check(self) -> None:
        if self.is_down:
            raise Unavailable(f"{__file__} cannot be read")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@define(eq=False)
class _Server:
    """An app and its runtime, and what the responses show."""

    allow: str
    is_signed: bool
    # It is made unavailable after the workflow has begun, and available after the requests.
    loses_backend: bool
    backend: _Backend = field(factory=_Backend)
    runtime: Runtime = field(init=False)
    app: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.runtime = Runtime(system, cast("Backend", self.backend))
        self.app = asgi_app(
            self.runtime,
            allow=ALLOWS[self.allow],
            secrets={"bank": SECRET} if self.is_signed else None,
        )

    async def call(self, sent: Sent) -> tuple[int, dict[bytes, bytes], bytes]:
        """Call the app as a server does: a client library would refuse to send some requests."""
        received: list[Any] = []
        parts = _parts(sent)

        async def receive() -> Any:
            if parts:
                return parts.pop(0)
            return await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            received.append(message)

        scope = {
            "type": "http", "http_version": "1.1", "method": sent.method, "path": sent.path,
            "raw_path": sent.path.encode(), "query_string": sent.query, "root_path": "",
            "scheme": "http",
            "headers": [*(_sign(sent) if sent.is_signed else ()), *sent.headers],
            "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
        }  # fmt: skip
        await self.app(scope, receive, send)
        [start, *bodies] = received
        body = b"".join(each.get("body", b"") for each in bodies)
        return start["status"], dict(start["headers"]), body

    def state(self) -> tuple[int, int, int]:
        """Return the numbers of requests that wait, of pending replies, and of tasks."""
        places = self.app.routes[0].endpoint.__self__._places  # noqa: SLF001 - no door shows it
        waiting = places._taken.total()  # noqa: SLF001
        pending = self.runtime._requests._pending  # noqa: SLF001
        return waiting, len(pending), len(asyncio.all_tasks(asyncio.get_running_loop()))


def _parts(sent: Sent) -> list[dict[str, Any]]:
    chunks = sent.chunks or (b"",)
    parts = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    if sent.ends:
        parts[-1]["more_body"] = False
    if sent.ends is False:
        parts.append({"type": "http.disconnect"})
    return parts


def _sign(sent: Sent) -> list[tuple[bytes, bytes]]:
    try:
        headers = Secrets.parse(SECRET).sign("msg_1", utc_now(), b"".join(sent.chunks))
    except UnicodeDecodeError:
        return []
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _check_response(
    server: _Server, sent: Sent, status: int, headers: dict[bytes, bytes], body: bytes
) -> None:
    text = body.decode()
    assert not [secret for secret in SECRETS_OF_A_SERVER if secret in text]
    if status == 500:
        assert server.allow == "raises"
        assert json.loads(text)["detail"] == INTERNAL
    elif status >= 500:
        assert status == 503
        assert server.loses_backend or server.allow == "hangs"
    if status < 400 or sent.path == "/ready":
        return
    assert headers[b"content-type"] == b"application/problem+json"
    content = json.loads(text)
    assert content["status"] == status
    assert content["title"]
    assert content["detail"].isprintable()
    for issue in content.get("issues", ()):
        assert issue.keys() == {"field", "expected", "got"}
        assert issue["expected"]
    needs_issues = sent.path == "/" and status in {400, 401, 413, 415} and sent.ends is not False
    assert not needs_issues or content["issues"]


async def _fuzz(server: _Server, data: st.DataObject, *, at_once: bool) -> None:
    left: list[Event[Any]] = []

    @server.runtime.on_domain("bank")
    async def listen(event: Event[Any]) -> None:
        # Async: a plain function would run in a thread, which virtual time does not wait for.
        left.append(event)

    async with server.runtime:
        await server.runtime.send(BEGIN)
        await server.runtime.drain()
        before = server.state()
        server.backend.is_down = server.loses_backend
        drawn = [data.draw(requests(left[0])) for _ in range(REQUESTS)]
        calls = [server.call(sent) for sent in drawn]
        responses = await asyncio.gather(*calls) if at_once else [await call for call in calls]
        server.backend.is_down = False
        await server.runtime.drain()
        for sent, (status, headers, body) in zip(drawn, responses, strict=True):
            _check_response(server, sent, status, headers, body)
            note(f"{sent.method} {sent.path if sent.path == '/' else 'another path'}: {status}")
        assert server.state() == before
        await _check_good_request(server)


async def _check_good_request(server: _Server) -> None:
    message = json.dumps(charge_request("good").to_dict()).encode()
    headers = [(b"content-type", b"application/cloudevents+json"), (b"prefer", b"wait=60")]
    good = Sent("POST", "/", headers, (message,), ends=True, is_signed=True)
    status, _, _ = await server.call(good)
    expected = {"none": 200, "all": 200, "raises": 500, "hangs": 503}
    assert status == expected.get(server.allow, 403)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run in virtual time: a client that waits for a minute takes no time."""
    loop = VirtualLoop()  # type: ignore[abstract]  # it has what asyncio calls here
    task = loop.create_task(work)
    loop.run(SECONDS_MAX, should_stop=task.done)
    assert task.done(), "the app hangs"
    assert not loop.errors
    return task.result()


def _check(allow: str, data: st.DataObject, *, is_signed: bool) -> None:
    server = _Server(allow, is_signed, data.draw(st.sampled_from([False, False, True])))
    _run(_fuzz(server, data, at_once=data.draw(st.booleans())))


@given(st.sampled_from([*ALLOWS]), st.data(), st.booleans())
@settings(max_examples=EXAMPLES)
def test_no_request_harms_the_app(allow: str, data: st.DataObject, is_signed: bool) -> None:
    """A client on the internet sends anything; the server serves the others meanwhile."""
    _check(allow, data, is_signed=is_signed)


@pytest.mark.deep
@given(st.sampled_from([*ALLOWS]), st.data(), st.booleans())
@settings(max_examples=DEEP_EXAMPLES)
def test_none_of_thousands_of_requests_harms_the_app(
    allow: str, data: st.DataObject, is_signed: bool
) -> None:
    """The same, with more requests."""
    _check(allow, data, is_signed=is_signed)
