"""Link: one connection to NATS, opened when it is needed, and opened again when it was lost."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from itertools import count
from typing import Any, Final, TypeAlias, final

import nats
import nats.errors
import orjson
from attrs import define, field
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from arvo.interpreters.ports.backend import Corrupt, Unavailable

logger: Final = logging.getLogger("arvo")

# How long a server is waited for: to connect, and to answer.
CONNECT_SECONDS: Final = 5
ASK_SECONDS: Final = 5.0
# How often it is looked whether an answer is overdue: one clock for all is a tenth of the work.
LOOK_SECONDS: Final = 0.5
# A server that has gone without a word is noticed after two of these.
PING_SECONDS: Final = 5

# Error numbers of JetStream's API that are no trouble where they are expected.
NO_MESSAGE: Final = 10037
NAME_IN_USE: Final = 10058
NO_STREAM: Final = 10059
TOO_LARGE: Final = 10054
NO_CONSUMER: Final = 10014
WRONG_SEQUENCE: Final = frozenset({10071, 10164})

Headers: TypeAlias = dict[str, str]
Content: TypeAlias = dict[str, Any]


@final
@define(eq=False)
class Link:
    """A connection, and what waits for an answer on it.

    The driver's own reconnecting is not used: it keeps what was asked while the server is gone, and
    sends it when nobody waits for the answer any more. Here all that is under way hears at once
    that the connection is lost, and whoever comes next opens another.
    """

    servers: str = field(repr=False)
    # What was found or made on the server; looked for again on each new connection.
    made: set[str] = field(factory=set, init=False)
    making: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    lost: set[Callable[[], None]] = field(factory=set, init=False)
    _client: Client | None = field(default=None, init=False)
    _opening: "asyncio.Task[Client] | None" = field(default=None, init=False)
    _inbox: str = field(default="", init=False)
    _numbers: "count[int]" = field(factory=count, init=False)
    # What waits for an answer, and since when, oldest first.
    _asked: dict[str, tuple[float, "asyncio.Future[Msg]"]] = field(factory=dict, init=False)
    _looking: asyncio.TimerHandle | None = field(default=None, init=False)

    async def client(self) -> Client:
        """Give the connection, opened now where there is none."""
        if self._client is not None:
            return self._client
        if self._opening is None:
            # A task of its own: whoever asked first may go, others wait for the same, and a driver
            # that is stopped half way leaves its socket open.
            self._opening = asyncio.create_task(self._open(), name="arvo nats connection")
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    async def ask(self, subject: str, payload: bytes = b"", headers: Headers | None = None) -> Msg:
        """Send a message and wait for its answer; what is sent first arrives first."""
        # No await that waits before the message is written, or two who ask could change places.
        client = self._client or await self.client()
        loop, token = asyncio.get_running_loop(), str(next(self._numbers))
        answer: asyncio.Future[Msg] = loop.create_future()
        self._asked[token] = loop.time(), answer
        if self._looking is None:
            self._looking = loop.call_later(LOOK_SECONDS, self._look)
        try:
            await client.publish(subject, payload, f"{self._inbox}.{token}", headers or None)
            message = await answer
        except (nats.errors.Error, OSError) as error:
            answer.cancel()
            raise self._trouble(client, error) from error
        finally:
            self._asked.pop(token, None)
        if status_of(message) == "503":
            self.made.clear()
            raise Unavailable(f"nats: nobody answers at {subject.partition('.')[0]}")
        return message

    async def tell(self, subject: str, payload: bytes, reply: str = "") -> None:
        """Send a message, and wait for nothing."""
        client = self._client or await self.client()
        try:
            await client.publish(subject, payload, reply)
        except (nats.errors.Error, OSError) as error:
            raise self._trouble(client, error) from error

    async def api(
        self, call: str, request: Mapping[str, Any] | None = None, expected: Collection[int] = ()
    ) -> Content:
        """Call JetStream's API and give what it says; of errors, only those that are *expected*."""
        payload = b"" if request is None else orjson.dumps(request)
        return self.content(await self.ask(f"$JS.API.{call}", payload), expected)

    def content(self, answer: Msg, expected: Collection[int] = ()) -> Content:
        """Read what JetStream answers; raises what its error means, unless that is *expected*."""
        content: Content = orjson.loads(answer.data)
        error = content.get("error")
        if error is None or error.get("err_code") in expected:
            return content
        said = f"nats: {error.get('description')} ({error.get('err_code')})"
        # 5xx: not now. A stream or a consumer that is gone is made again.
        if error["code"] >= 500 or error.get("err_code") in (NO_STREAM, NO_CONSUMER):
            self.made.clear()
            raise Unavailable(said)
        raise Corrupt(f"{said}: mend the server's settings or ours")

    async def subscribe(self, heard: Callable[[Msg], Awaitable[None]]) -> Subscription:
        """Have *heard* called with each message that comes to an inbox of its own."""
        client = await self.client()
        try:
            return await client.subscribe(client.new_inbox(), cb=heard)
        except (nats.errors.Error, OSError) as error:
            raise self._trouble(client, error) from error

    async def payload_max(self) -> int:
        """Give how many bytes the server takes in one message, headers included."""
        return (await self.client()).max_payload

    async def close(self) -> None:
        """Let go of the connection; what waits for an answer hears that it is lost."""
        if self._opening is not None:
            with suppress(Unavailable):
                await self._opening
        client, self._client = self._client, None
        self._drop()
        # A lock belongs to the loop that it was waited for in; the next use may be in another.
        self.making = asyncio.Lock()
        if client is not None:
            await _closed(client)

    async def _open(self) -> Client:
        client = Client()

        async def closed() -> None:
            self._lose(client)

        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await client.connect(
                    [server.strip() for server in self.servers.split(",")],
                    error_cb=_said,
                    closed_cb=closed,
                    name="arvo",
                    allow_reconnect=False,
                    connect_timeout=CONNECT_SECONDS,
                    reconnect_time_wait=0,
                    max_reconnect_attempts=1,
                    ping_interval=PING_SECONDS,
                    flush_timeout=ASK_SECONDS,
                )
                inbox = client.new_inbox()
                await client.subscribe(f"{inbox}.*", cb=self._answered)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            await _closed(client)
            raise Unavailable(f"nats: no connection ({_words(error)})") from error
        except BaseException:
            await _closed(client)
            raise
        if client.is_closed:
            raise Unavailable("nats: the connection was lost")
        self._inbox, self._client = inbox, client
        return client

    def _opened(self, opening: "asyncio.Task[Client]") -> None:
        self._opening = None
        if not opening.cancelled():
            # Nobody may be left to hear it, and an exception that is never heard is printed.
            opening.exception()

    async def _answered(self, message: Msg) -> None:
        found = self._asked.get(message.subject.rpartition(".")[2])
        if found is not None and not found[1].done():
            found[1].set_result(message)

    def _look(self) -> None:
        """Tell those whose answer is overdue."""
        self._looking, loop = None, asyncio.get_running_loop()
        for since, answer in list(self._asked.values()):
            if since > loop.time() - ASK_SECONDS:
                break
            if not answer.done():
                answer.set_exception(Unavailable(f"nats: no answer within {ASK_SECONDS} s"))
        if self._asked:
            self._looking = loop.call_later(LOOK_SECONDS, self._look)

    def _trouble(self, client: Client, error: Exception) -> Unavailable:
        """Say what the driver ran into; it does not always tell that a connection is closed."""
        if client.is_closed:
            self._lose(client)
        return Unavailable(f"nats: {_words(error)}")

    def _lose(self, client: Client) -> None:
        if self._client is client:
            self._client = None
            self._drop()

    def _drop(self) -> None:
        """Tell all who wait that nothing comes any more."""
        self.made.clear()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        for _, answer in self._asked.values():
            if not answer.done():
                answer.set_exception(Unavailable("nats: the connection was lost"))
        for tell in list(self.lost):
            tell()


def status_of(message: Msg) -> str | None:
    """Give the status of a message that is the server's own word, None for any other."""
    return None if message.headers is None else message.headers.get("Status")


async def _closed(client: Client) -> None:
    """Close a connection, whatever state it is in."""
    with suppress(nats.errors.Error, OSError):
        await client.close()


async def _said(error: Exception) -> None:
    logger.debug("nats: %s", _words(error))


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
