"""Connection: one connection to NATS, opened at first use, and again after it was lost."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, Final, TypeAlias, final

import nats
import nats.errors
import orjson
from attrs import define, field
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from arvo.interpreters.delivery.brokers.errors import error_text
from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.nats.connection.errors import translate_error, translate_errors
from arvo.interpreters.nats.connection.settings import parse_servers
from arvo.interpreters.ports.errors import Unavailable

logger: Final = get_logger("nats")

# The longest wait for a server: to connect, and to reply.
CONNECT_SECONDS: Final = 5
REPLY_SECONDS: Final = 5.0
# The pause between two checks for overdue replies. One timer for all costs a tenth of one for each.
CHECK_SECONDS: Final = 0.5
# A server that stopped without closing the connection is noticed after two of these.
PING_SECONDS: Final = 5

Headers: TypeAlias = dict[str, str]
Content: TypeAlias = dict[str, Any]


@final
@define(eq=False)
class Connection:
    """A connection, and the requests on it that have no reply yet.

    The driver's reconnecting is not used: it holds requests while the server is gone, and sends
    them when no caller waits for the reply any more. Here all requests fail at once when the
    connection is lost, and the next call opens another connection.
    """

    servers: str = field(repr=False)
    # Streams and consumers that exist on the server; a new connection checks them again.
    declared: set[str] = field(factory=set, init=False)
    declaring: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    # Called when the connection is lost.
    on_lost: set[Callable[[], None]] = field(factory=set, init=False)
    _client: Client | None = field(default=None, init=False)
    _opening: "asyncio.Task[Client] | None" = field(default=None, init=False)
    _inbox: str = field(default="", init=False)
    _numbers: "count[int]" = field(factory=count, init=False)
    # Requests without a reply, with the times at which they were sent, oldest first.
    _pending: dict[str, tuple[float, "asyncio.Future[Msg]"]] = field(factory=dict, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    async def client(self) -> Client:
        """Return the driver's client; connects first where there is none."""
        if self._client is not None:
            return self._client
        if self._opening is None:
            # A task of its own: the first caller may be cancelled while others wait for the same
            # connection, and a driver that is cancelled half way leaves its socket open.
            self._opening = asyncio.create_task(self._open(), name="arvo nats connection")
            self._opening.add_done_callback(self._on_opened)
        return await asyncio.shield(self._opening)

    async def request(
        self, subject: str, payload: bytes = b"", headers: Headers | None = None
    ) -> Msg:
        """Send a message and wait for its reply; requests arrive in the order of the calls."""
        # Nothing is awaited before the write, or two requests could change places.
        client = self._client or await self.client()
        loop, token = asyncio.get_running_loop(), str(next(self._numbers))
        reply: asyncio.Future[Msg] = loop.create_future()
        self._pending[token] = loop.time(), reply
        if self._timer is None:
            self._timer = loop.call_later(CHECK_SECONDS, self._fail_overdue)
        try:
            with self._using(client):
                await client.publish(subject, payload, f"{self._inbox}.{token}", headers or None)
                message = await reply
        finally:
            reply.cancel()
            self._pending.pop(token, None)
        if status_of(message) == "503":
            self.declared.clear()
            raise Unavailable(f"nats: no responder for {subject.partition('.')[0]}")
        return message

    async def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        """Send a message, and wait for no reply."""
        client = self._client or await self.client()
        with self._using(client):
            await client.publish(subject, payload, reply)

    async def call_api(
        self, call: str, request: Mapping[str, Any] | None = None, expected: Collection[int] = ()
    ) -> Content:
        """Call JetStream's API and return its reply, which may be one of the *expected* errors."""
        payload = b"" if request is None else orjson.dumps(request)
        return self.read_reply(await self.request(f"$JS.API.{call}", payload), expected)

    def read_reply(self, reply: Msg, expected: Collection[int] = ()) -> Content:
        """Decode a reply of JetStream; raises for an error, unless it is *expected*."""
        content: Content = orjson.loads(reply.data)
        error = content.get("error")
        if error is None or error.get("err_code") in expected:
            return content
        translated = translate_error(error)
        if isinstance(translated, Unavailable):
            self.declared.clear()
        raise translated

    async def subscribe(
        self, on_message: Callable[[Msg], Awaitable[None]], subject: str | None = None
    ) -> Subscription:
        """Call *on_message* with each message to a subject, or to a new inbox."""
        client = await self.client()
        with self._using(client):
            return await client.subscribe(subject or client.new_inbox(), cb=on_message)

    async def payload_max(self) -> int:
        """Return the number of bytes that the server accepts in a message, headers included."""
        return (await self.client()).max_payload

    async def close(self) -> None:
        """Close the connection; pending requests fail."""
        if self._opening is not None:
            with suppress(Unavailable):
                await self._opening
        client, self._client = self._client, None
        self._fail_all()
        # A lock belongs to the loop in which it was awaited; the next use may be in another one.
        self.declaring = asyncio.Lock()
        if client is not None:
            await _close_client(client)

    @contextmanager
    def _using(self, client: Client) -> Iterator[None]:
        """Translate the driver's exceptions. Not all closed connections reach `closed_cb`."""
        try:
            with translate_errors():
                yield
        except Unavailable:
            if client.is_closed:
                self._lose(client)
            raise

    async def _open(self) -> Client:
        client, servers = Client(), parse_servers(self.servers)

        async def on_closed() -> None:
            self._lose(client)

        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await client.connect(
                    list(servers.urls),
                    user=servers.user,
                    password=servers.password,
                    token=servers.token,
                    error_cb=_log_error,
                    closed_cb=on_closed,
                    name="arvo",
                    allow_reconnect=False,
                    connect_timeout=CONNECT_SECONDS,
                    reconnect_time_wait=0,
                    max_reconnect_attempts=1,
                    ping_interval=PING_SECONDS,
                    flush_timeout=REPLY_SECONDS,
                )
                inbox = client.new_inbox()
                await client.subscribe(f"{inbox}.*", cb=self._on_reply)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            await _close_client(client)
            raise Unavailable(f"nats: no connection ({error_text(error)})") from error
        except BaseException:
            await _close_client(client)
            raise
        if client.is_closed:
            raise Unavailable("nats: the connection was lost")
        self._inbox, self._client = inbox, client
        return client

    def _on_opened(self, opening: "asyncio.Task[Client]") -> None:
        self._opening = None
        if not opening.cancelled():
            # All callers may be cancelled, and asyncio prints an exception that is never retrieved.
            opening.exception()

    async def _on_reply(self, message: Msg) -> None:
        pending = self._pending.get(message.subject.rpartition(".")[2])
        if pending is not None and not pending[1].done():
            pending[1].set_result(message)

    def _fail_overdue(self) -> None:
        """Fail the requests whose reply is overdue."""
        self._timer, loop = None, asyncio.get_running_loop()
        for sent_at, reply in list(self._pending.values()):
            if sent_at > loop.time() - REPLY_SECONDS:
                break
            if not reply.done():
                reply.set_exception(Unavailable(f"nats: no reply within {REPLY_SECONDS} s"))
        if self._pending:
            self._timer = loop.call_later(CHECK_SECONDS, self._fail_overdue)

    def _lose(self, client: Client) -> None:
        if self._client is client:
            self._client = None
            self._fail_all()

    def _fail_all(self) -> None:
        """Fail all requests, and report the loss."""
        self.declared.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for _, reply in self._pending.values():
            if not reply.done():
                reply.set_exception(Unavailable("nats: the connection was lost"))
        for callback in list(self.on_lost):
            callback()


def status_of(message: Msg) -> str | None:
    """Return the status of a message from the server itself, None for any other message."""
    return None if message.headers is None else message.headers.get("Status")


async def _close_client(client: Client) -> None:
    """Close a connection in any state."""
    with suppress(nats.errors.Error, OSError):
        await client.close()


async def _log_error(error: Exception) -> None:
    logger.debug("an error of the connection", extra=fields(reason=error_text(error)))
