"""Site: a console on a port of this machine, served by a thread, for a real browser."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Final, TypeVar, cast, final

import uvicorn
from attrs import define, field
from starlette.routing import Route

from arvo import Runtime
from arvo.console import console

T = TypeVar("T")
# Generous: only a failure waits for it.
WAIT_SECONDS: Final = 300.0
# Tests look more often than pages need.
POLL_SECONDS: Final = 0.05
Open = Callable[[], AbstractAsyncContextManager[Runtime]]


@final
@define(eq=False)
class Site:
    """A console at an *address*, and the *runtime* whose backend it shows.

    The runtime lives in the event loop of a thread, as the browser's driver has that of the tests.
    """

    runtime: Runtime
    options: dict[str, Any]
    _loop: asyncio.AbstractEventLoop
    _port: int
    _server: uvicorn.Server | None = field(default=None, init=False)
    _serving: "Future[None] | None" = field(default=None, init=False)
    _changes: Any = field(default=None, init=False)

    @property
    def address(self) -> str:
        """The address of the first page, without a slash at its end."""
        return f"http://127.0.0.1:{self._port}"

    def run(self, work: Callable[[Runtime], Awaitable[T]]) -> T:
        """Do *work* with the runtime, in its thread."""

        async def go() -> T:
            async with asyncio.timeout(WAIT_SECONDS):
                return await work(self.runtime)

        return asyncio.run_coroutine_threadsafe(go(), self._loop).result()

    def start(self) -> None:
        """Answer requests."""
        listening = _bind(self._port)
        listening.listen()
        app = console(self.runtime, **self.options)
        [route] = [it for it in app.routes if isinstance(it, Route) and it.path == "/changes"]
        self._changes = cast("Any", route.endpoint).__self__._changes
        self._changes.poll_seconds = self._changes.change_seconds = POLL_SECONDS
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            log_level="critical",
            # The streams of open pages do not end by themselves.
            timeout_graceful_shutdown=0,
        )
        self._server = uvicorn.Server(config)
        self._serving = asyncio.run_coroutine_threadsafe(
            self._server.serve([listening]), self._loop
        )

    def wait_for_pages(self, number: int) -> None:
        """Wait until so many pages have a connection for changes."""

        async def go(_: Runtime) -> None:
            while self._changes._pages != number:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(POLL_SECONDS)

        self.run(go)

    def stop(self) -> None:
        """End all connections and refuse new ones."""
        assert self._server is not None
        assert self._serving is not None
        self._server.should_exit = True
        self._serving.result(WAIT_SECONDS)


@contextmanager
def served(open_runtime: Open, **options: Any) -> Iterator[Site]:
    """Serve the console of a runtime until the block ends. *options*: those of `console`."""
    made: Future[Site] = Future()
    end = asyncio.Event()

    async def live(port: int) -> None:
        try:
            async with open_runtime() as runtime:
                loop = asyncio.get_running_loop()
                made.set_result(Site(runtime, {"allow": allow_all, **options}, loop, port))
                await end.wait()
        except BaseException as error:
            if not made.done():
                made.set_exception(error)
            raise

    # It keeps the port while no server has it: a socket that only is bound refuses connections.
    with _bind(0) as reserved:
        port = int(reserved.getsockname()[1])
        thread = threading.Thread(target=lambda: asyncio.run(live(port)), daemon=True)
        thread.start()
        site = made.result(WAIT_SECONDS)
        site.start()
        try:
            yield site
        finally:
            site.stop()
            site._loop.call_soon_threadsafe(end.set)
            thread.join(WAIT_SECONDS)


def allow_all(user: str | None, verb: str, record: object) -> bool:
    """Let everyone do everything."""
    return True


def _bind(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound
