"""Kit: runs conformance tests, and reports the calls that led to a failure."""

import asyncio
import inspect
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar, cast, final
from unittest import SkipTest

from attrs import frozen
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.interpreters.ports.messages import DeadLetter, Delivery, Message
from arvo.interpreters.ports.observation import Observation
from arvo.testing.conformance.kit.proxy import show_attributes

T = TypeVar("T")
K = TypeVar("K", bound="Kit")

# The last calls before a failure: they explain most.
CALLS_REPORTED_MAX: Final = 12
# A test waits for several conditions, one after the other.
TEST_TIMEOUTS: Final = 10
VALUE_CHARACTERS_MAX: Final = 80

# The current span of each call.
_SPAN: Final = NonRecordingSpan(SpanContext(7, 9, is_remote=False))

# The reasons for which a test does not apply.
NOT_DURABLE: Final = "is_durable is False: set it to True if two at one path share their data"
NO_LISTING: Final = "supports_listing is False: the store cannot list workflows"
NO_DEPTH: Final = "reports_depth is False: it does not count its events"
NO_SHARED_DEPTH: Final = "is_durable or reports_depth is False"
NO_LEASE: Final = "expire_lease is not overridden: override it if deliveries have leases"
NO_DEATHS: Final = "it has no `mark_started`: it does not count the deaths of workers"
NO_REFUSALS: Final = "it has no `find_refusal`: it refuses a turn when its effects were performed"
NO_CHAINS: Final = "it has no `commit_chains`: each delivery is processed by itself"
NO_FOLLOWERS: Final = "commits_apart is True: each chain of it begins with one delivery"
NO_PASSING: Final = "`is_busy` says so of each key: its chains have one event of a workflow at most"
NO_REGISTRY: Final = "it has no `services`, or is_durable is False"
NO_RELEASE: Final = "it has no `release`, or is_durable or shares_released is False"
NO_REPORTS: Final = "it has no `reports`: watchers get the history alone"
NO_SIGHT: Final = "it has no `has_others`: it does not know which messages of a key it stores"
OFFLOADS: Final = "offloads is True: large data does not count towards the size of an event"
NO_OFFLOADS: Final = "offloads is False: it has no codec with a blob store"
NO_PLAIN: Final = "publish_plain is not overridden: override it if other programs may publish"


def skip(reason: str) -> NoReturn:
    """End a test that does not apply. pytest and `run_all` report it with the *reason*."""
    # Of the standard library, as the kit does not need pytest.
    raise SkipTest(reason)


@final
@frozen
class KitReport:
    """The names of the tests that *passed*, and of those that do not apply, with the reason."""

    passed: tuple[str, ...]
    skipped: Mapping[str, str]


class Kit:
    """The base of the conformance classes.

    *tmp_path*: an empty directory for each test. Two subjects opened at the same path must share
    their store. *is_durable*: whether data survives a restart, and a second subject at the same
    path sees it. *timeout*: seconds to wait for something that must happen. *quiet_period*: seconds
    to wait for something that must not happen.
    """

    is_durable: bool = False
    # Generous, as a loaded machine is slow, and only a failure waits for it.
    timeout: float = 30.0
    quiet_period: float = 0.05
    tmp_path: Path

    async def open_subject(self) -> Any:
        """Open the subject of the test at `tmp_path`."""
        raise NotImplementedError

    async def close_subject(self, subject: Any) -> None:
        """Close the subject of the test."""
        raise NotImplementedError

    @classmethod
    def run_all(cls) -> "KitReport":
        """Run every test without pytest, and return which ran and which do not apply.

        Raises the error of the first one that fails, and AssertionError if none applies.
        """
        passed: list[str] = []
        skipped: dict[str, str] = {}
        for name in dir(cls):
            if not name.startswith("test_"):
                continue
            try:
                getattr(cls(), name)()
            except SkipTest as reason:
                skipped[name] = str(reason)
            else:
                passed.append(name)
        assert passed, f"{cls.__name__} has no test that applies: {skipped}"
        return KitReport(tuple(passed), skipped)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        """Open a subject, and close it at the end."""
        subject = await self.open_subject()
        try:
            yield subject
        finally:
            await self.close_subject(subject)

    async def eventually(self, work: Awaitable[T], description: str) -> T:
        """Return the result of *work*; fails with *description* after `timeout` seconds.

        A delivery has its data then, also where a blob store has it.
        """
        try:
            async with asyncio.timeout(self.timeout):
                result = await work
                if isinstance(result, Delivery):
                    await result.message.load_data()
                return result
        except TimeoutError:
            raise AssertionError(f"{description}: not within {self.timeout} s") from None

    async def never(self, work: Coroutine[Any, Any, T], description: str) -> None:
        """Fail with *description* if *work* ends within `quiet_period` seconds."""
        task = asyncio.ensure_future(work)
        done, _ = await asyncio.wait({task}, timeout=self.quiet_period)
        if done:
            raise AssertionError(f"{description}: expected nothing, got {task.result()!r}")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class BackendKit(Kit):
    """The base of the conformance classes of backends.

    *queue_max*: the capacity to open a backend with; `send` waits while so many events are queued
    or delivered. *reports_depth*: whether the backend counts its events and blocks senders when it
    is full; a paired backend does so only if its broker counts. *supports_listing*: whether it can
    list workflows and their history; not every store can. *shares_released*: whether a released
    delivery goes to another process that asks for one. A broker that pushes messages to consumers,
    or gives each one partitions of its own, may return it to the same process. *offloads*: whether
    its codec stores large data in a blob store, so that an event may be larger.
    """

    queue_max: int = 300
    reports_depth: bool = True
    supports_listing: bool = True
    shares_released: bool = True
    offloads: bool = False

    async def expire_lease(self, backend: Any) -> None:
        """Expire the lease of *backend*, so that another backend receives its deliveries.

        Override it if deliveries have leases; the kit then also tests a stale worker, and that
        deaths are counted.
        """

    @property
    def has_leases(self) -> bool:
        """Whether `expire_lease` is overridden."""
        return type(self).expire_lease is not BackendKit.expire_lease


class BrokerKit(Kit):
    """The base of the conformance classes of brokers."""

    async def broker(self) -> Any:
        """Open a broker at `self.tmp_path`; the same path means the same broker."""
        raise NotImplementedError

    async def close(self, broker: Any) -> None:
        """Close a broker."""

    async def open_subject(self) -> Any:
        """Open a broker for a test."""
        return await self.broker()

    async def close_subject(self, subject: Any) -> None:
        """Close the broker of a test."""
        await self.close(subject)


class CallRecorder:
    """A proxy that records each call and its result in *calls*.

    It calls as an observed worker does: within a span, and with an observation of each delivery,
    which is the worker's to end.
    """

    def __init__(self, subject: Any, calls: list[str]) -> None:
        self._subject = subject
        self._calls = calls
        show_attributes(self, subject)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._subject, name)
        if not inspect.iscoroutinefunction(attribute):
            return attribute

        async def call(*args: Any, **options: Any) -> Any:
            named = (f"{key}={_summarise(value)}" for key, value in options.items())
            arguments = ", ".join([*map(_summarise, args), *named])
            number = len(self._calls)
            self._calls.append(f"{name}({arguments}) …")
            observed = [
                (each.progress, each.progress.observation)
                for each in args
                if isinstance(each, Delivery)
            ]
            with use_span(_SPAN):
                result = await attribute(*args, **options)
            self._calls[number] = f"{name}({arguments}) → {_summarise(result)}"
            for progress, observation in observed:
                assert progress.observation is observation, f"{name} changed an observation"
            for each in result if isinstance(result, list) else [result]:
                if isinstance(each, Delivery) and each.progress.observation is None:
                    each.progress.observation = cast("Observation", object())
            return result

        return call


def conformance_test(
    test: Callable[[K, Any], Coroutine[Any, Any, None]],
) -> Callable[[K], None]:
    """Make a test out of a coroutine function that takes the subject of the test.

    Each test has its own event loop and directory. A failure has a note with the recorded calls.
    """

    def run(self: K) -> None:
        calls: list[str] = []
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as path:
            self.tmp_path = Path(path)
            try:
                asyncio.run(_run_test(self, test, calls))
            except SkipTest:
                raise
            except BaseException as error:
                lines = [f"  {call}" for call in calls[-CALLS_REPORTED_MAX:]]
                error.add_note("\n".join(["calls before the failure:", *lines]))
                raise

    # Not `functools.wraps`: pytest would take the second parameter for a fixture.
    run.__name__, run.__qualname__, run.__doc__ = test.__name__, test.__qualname__, test.__doc__
    run.__module__ = test.__module__
    return run


async def _run_test(
    kit: K, test: Callable[[K, Any], Coroutine[Any, Any, None]], calls: list[str]
) -> None:
    async with AsyncExitStack() as stack:
        subject = await stack.enter_async_context(kit.session())
        try:
            async with asyncio.timeout(TEST_TIMEOUTS * kit.timeout):
                await test(kit, CallRecorder(subject, calls))
        except TimeoutError:
            raise AssertionError("a call did not return in time") from None


def _summarise(value: object) -> str:
    """Return a short text for a value; events are identified by their id."""
    match value:
        case Event(id=id_):
            return f"event {id_!r}"[:VALUE_CHARACTERS_MAX]
        case Message(event=event, to=to):
            return f"{_summarise(event)} to {type(to).__name__}"
        case Delivery(message=message, attempt=attempt):
            return f"delivery {attempt} of {_summarise(message.event)}"
        case Commit(expected=expected, record=record):
            return f"commit on revision {expected} of {_summarise(record)}"
        case Record(revision=revision):
            return f"record at revision {revision}"
        case DeadLetter(id=id_):
            return f"dead letter {id_!r}"[:VALUE_CHARACTERS_MAX]
        case list() | tuple():
            return f"[{', '.join(map(_summarise, value))}]"
        case _:
            text = repr(value)
            return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[:60]} … {text[-18:]}"
