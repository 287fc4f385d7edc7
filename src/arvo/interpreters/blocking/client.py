"""Client: the methods of a client and of a runtime; each returns when its work is done."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import partial, wraps
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, final, overload

from anyio.from_thread import BlockingPortal, start_blocking_portal

from arvo.core.violations.arguments import check_argument
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.system.system import System
from arvo.interpreters.calls.listeners import LISTENER_SECONDS, Listener
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.observer import Observer
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.runtime import Runtime
from arvo.interpreters.worker.stats import Stats

P = ParamSpec("P")
T = TypeVar("T")

Register = Callable[[Listener], Listener]


@final
class _Method(Generic[P, T]):
    """A method of the client that is run in the thread of its event loop, by *run*."""

    def __init__(
        self,
        method: Callable[..., object],
        run: Callable[["BlockingClient", Callable[[], Any]], T],
    ) -> None:
        self._name, self._run = method.__name__, run
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, instance: "BlockingClient", owner: type[Any]) -> Callable[P, T]: ...
    def __get__(self, instance: "BlockingClient | None", owner: type[Any]) -> Any:
        if instance is None:
            return self
        # By its name, as a runtime has some methods of its own.
        method = getattr(instance._client, self._name)  # noqa: SLF001 - made for it

        @wraps(method)
        def call(*arguments: P.args, **options: P.kwargs) -> T:
            return self._run(instance, partial(method, *arguments, **options))

        return call


def _waits(method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> _Method[P, T]:
    """Make a method that blocks of a coroutine function."""
    return _Method(method, lambda client, work: client._call(work))  # noqa: SLF001 - made for it


def _iterates(
    method: Callable[Concatenate[Any, P], AsyncGenerator[T, None]],
) -> _Method[P, Generator[T, None, None]]:
    """Make a method that returns a plain generator of one that returns an asynchronous one."""
    return _Method(method, lambda client, start: client._iterate(start()))  # noqa: SLF001 - the same


class BlockingClient:
    """A `Client` whose methods block until they are done; made by `blocking`.

    Any number of threads may use it. See `Client` for what each method does.
    """

    def __init__(self, client: Client, portal: BlockingPortal) -> None:
        self._client = client
        self._portal: BlockingPortal | None = portal

    @property
    def system(self) -> System:
        """The system of the client."""
        return self._client.system

    @property
    def backend(self) -> Backend:
        """The backend of the client; its methods are for the thread of its event loop."""
        return self._client.backend

    @property
    def carries_reports(self) -> bool:
        """Whether `watch` yields reports here; see `Client.carries_reports`."""
        return self._client.carries_reports

    def observe(self, observer: Observer) -> None:
        """Report to *observer* the calls of the client; see `Client.observe`."""
        self._call(partial(self._client.observe, observer))

    def _call(self, work: Callable[[], Any]) -> Any:
        """Run a function, or a coroutine function, in the thread of the event loop."""
        if self._portal is None:
            issue = Issue("client", "`with blocking(...)`", "one whose block is left")
            raise Violated(ConfigViolation("the client is closed", issue))
        return self._portal.call(work)

    def _iterate(self, items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        try:
            while True:
                yield self._call(partial(anext, items))
        except StopAsyncIteration:
            return
        finally:
            if self._portal is not None:
                self._portal.call(items.aclose)

    def _register(self, register: Register) -> Register:
        return lambda listener: self._call(partial(register, listener))

    ask = _waits(Client.ask)
    audit_log = _waits(Client.audit_log)
    cancel = _waits(Client.cancel)
    cancel_workflows = _waits(Client.cancel_workflows)
    check = _waits(Client.check)
    dead_letter_groups = _waits(Client.dead_letter_groups)
    dead_letters = _waits(Client.dead_letters)
    delete_dead_letter = _waits(Client.delete_dead_letter)
    delete_dead_letters = _waits(Client.delete_dead_letters)
    depth = _waits(Client.depth)
    describe = _waits(Client.describe)
    find_subject = _waits(Client.find_subject)
    fork = _waits(Client.fork)
    history = _waits(Client.history)
    is_reachable = _waits(Client.is_reachable)
    migrate = _waits(Client.migrate)
    migrate_workflows = _waits(Client.migrate_workflows)
    query = _waits(Client.query)
    record = _waits(Client.record)
    redrive_dead_letter = _waits(Client.redrive_dead_letter)
    redrive_dead_letters = _waits(Client.redrive_dead_letters)
    replay = _waits(Client.replay)
    revive = _waits(Client.revive)
    revive_workflows = _waits(Client.revive_workflows)
    send = _waits(Client.send)
    signal = _waits(Client.signal)
    timers = _waits(Client.timers)
    tree = _waits(Client.tree)
    versions = _waits(Client.versions)
    watch = _iterates(Client.watch)
    workflows = _waits(Client.workflows)


@final
class BlockingRuntime(BlockingClient):
    """A `Runtime` whose methods block until they are done; made by `blocking`.

    Any number of threads may use it. See `Runtime` for what each method does. A listener may be
    `async`; a plain function runs in a thread, and may use this object.
    """

    _client: Runtime

    drain = _waits(Runtime.drain)
    request = _waits(Runtime.request)

    def on_domain(
        self, domain: str | None = None, *, timeout: float | timedelta = LISTENER_SECONDS
    ) -> Register:
        """Register a listener for the events that leave by *domain*; see `Runtime.on_domain`."""
        return self._register(self._client.on_domain(domain, timeout=timeout))

    def on_address(
        self, address: str, *, timeout: float | timedelta = LISTENER_SECONDS
    ) -> Register:
        """Register a listener for the events to *address*; see `Runtime.on_address`."""
        return self._register(self._client.on_address(address, timeout=timeout))

    def on_workflow_complete(
        self, subscription: str, *, timeout: float | timedelta = LISTENER_SECONDS
    ) -> Register:
        """Register a listener for outcomes; see `Runtime.on_workflow_complete`."""
        return self._register(self._client.on_workflow_complete(subscription, timeout=timeout))

    def stats(self) -> Stats:
        """Return the counts of all outcomes so far."""
        return self._client.stats()

    @property
    def is_working(self) -> bool:
        """Whether it processes events: it is not stopping, and no worker broke."""
        return self._client.is_working


@overload
def blocking(client: Runtime) -> AbstractContextManager[BlockingRuntime]: ...
@overload
def blocking(client: Client) -> AbstractContextManager[BlockingClient]: ...
@contextmanager
def blocking(client: Client) -> Iterator[Any]:
    """Run a client or a runtime on an event loop in a thread of its own, for code without asyncio.

    Use it as `with blocking(Runtime(system, url)) as runtime`: inside the block the methods are
    ordinary ones, such as `runtime.request(event)`, for any number of threads; leaving it stops the
    runtime as leaving its `async with` block does, also after Ctrl-C. It works beside an event loop
    that runs already, as in a notebook; a coroutine uses `async with Runtime(...)` instead, since
    these methods would block its loop. In a program that forks its processes, enter it after the
    fork. Raises what entering the client raises.
    """
    expected = "a Client or a Runtime, such as blocking(Runtime(system, url))"
    check_argument("client", client, Client, expected, of="blocking")
    made: type[BlockingClient] = BlockingRuntime if isinstance(client, Runtime) else BlockingClient
    with start_blocking_portal(name="arvo") as portal, portal.wrap_async_context_manager(client):
        opened = made(client, portal)
        try:
            yield opened
        finally:
            opened._portal = None  # noqa: SLF001 - made here
