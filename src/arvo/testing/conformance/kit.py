"""Kit: how a conformance test runs, and what it says when it fails."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.interpreters.ports.backend import DeadLetter, Delivery, Message

T = TypeVar("T")
K = TypeVar("K", bound="Kit")

# Calls that are listed when a test fails: the last ones say most.
CALLS_TOLD_MAX: Final = 12
# A test waits for a few things, one after the other.
TEST_PATIENCES: Final = 10


class Kit:
    """What the conformance classes share.

    *place*: a directory for each test, empty at first: whoever opens a store in it twice opens the
    same store. *survives*: whether what was taken outlives whoever took it, and a second one,
    opened at the same *place*, sees it. *patience*: seconds after which what has not happened does
    not happen any more; *moment*: seconds in which what must not happen would have happened.
    """

    is_durable: bool = False
    timeout: float = 5.0
    quiet_period: float = 0.05
    place: Path

    async def opened(self) -> Any:
        """Open what is tested, at *place*."""
        raise NotImplementedError

    async def closed(self, subject: Any) -> None:
        """Let go of it."""
        raise NotImplementedError

    @classmethod
    def prove(cls) -> None:
        """Run every test here and now, without pytest; the first that fails raises."""
        for name in dir(cls):
            if name.startswith("test_"):
                getattr(cls(), name)()

    @asynccontextmanager
    async def using(self) -> AsyncIterator[Any]:
        """Open what is tested, and let go of it afterwards."""
        subject = await self.opened()
        try:
            yield subject
        finally:
            await self.closed(subject)

    async def soon(self, work: Awaitable[T], what: str) -> T:
        """Wait for what must happen; *what* says what it is."""
        try:
            async with asyncio.timeout(self.timeout):
                return await work
        except TimeoutError:
            raise AssertionError(f"{what}: not within {self.timeout} s") from None

    async def never(self, work: Coroutine[Any, Any, T], what: str) -> None:
        """Make sure that something does not happen for a moment."""
        task = asyncio.ensure_future(work)
        done, _ = await asyncio.wait({task}, timeout=self.quiet_period)
        if done:
            raise AssertionError(f"{what}: got {task.result()!r}")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class BackendKit(Kit):
    """What the conformance classes of backends share.

    *queue_max*: how many events may be under way before `send` waits; open your backend with it.
    *counts*: whether the backend knows how many are, and holds senders back; a pair does only if
    its broker counts. *lists*: whether it can list workflows and tell their history; not every
    store can.
    """

    queue_max: int = 300
    reports_depth: bool = True
    supports_listing: bool = True


class Recorded:
    """Passes every call on, and keeps what was called and what came back."""

    def __init__(self, subject: Any, calls: list[str]) -> None:
        self._subject = subject
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._subject, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def called(*args: Any, **options: Any) -> Any:
            said = ", ".join(
                [*map(_short, args), *(f"{k}={_short(v)}" for k, v in options.items())]
            )
            number = len(self._calls)
            self._calls.append(f"{name}({said}) …")
            value = await found(*args, **options)
            self._calls[number] = f"{name}({said}) → {_short(value)}"
            return value

        return called


def conforms(test: Callable[[K, Any], Coroutine[Any, Any, None]]) -> Callable[[K], None]:
    """Make a test out of a coroutine function that is handed what is tested.

    It runs in a loop and at a place of its own; when it fails, the calls that led there are told.
    """

    def run(self: K) -> None:
        calls: list[str] = []
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
            self.place = Path(place)
            try:
                asyncio.run(_within(self, test, calls))
            except BaseException as error:
                told = calls[-CALLS_TOLD_MAX:]
                error.add_note("\n".join(["calls until then:", *(f"  {call}" for call in told)]))
                raise

    # Not `functools.wraps`: pytest would take the second argument for a fixture.
    run.__name__, run.__qualname__, run.__doc__ = test.__name__, test.__qualname__, test.__doc__
    run.__module__ = test.__module__
    return run


async def _within(
    kit: K, test: Callable[[K, Any], Coroutine[Any, Any, None]], calls: list[str]
) -> None:
    async with AsyncExitStack() as stack:
        subject = await stack.enter_async_context(kit.using())
        try:
            async with asyncio.timeout(TEST_PATIENCES * kit.timeout):
                await test(kit, Recorded(subject, calls))
        except TimeoutError:
            raise AssertionError("a call did not come back") from None


def _short(value: object) -> str:
    """Say a value in a few words: what tells one event from another is its id."""
    match value:
        case Event(id=id_):
            return f"event {id_!r}"[:80]
        case Message(event=event, to=to):
            return f"{_short(event)} to {type(to).__name__}"
        case Delivery(message=message, attempt=attempt):
            return f"delivery {attempt} of {_short(message.event)}"
        case Commit(expected=expected, record=record):
            return f"commit on revision {expected} of {_short(record)}"
        case Record(revision=revision):
            return f"record at revision {revision}"
        case DeadLetter(id=id_):
            return f"letter {id_!r}"[:80]
        case list() | tuple():
            return f"[{', '.join(map(_short, value))}]"
        case _:
            said = repr(value)
            return said if len(said) <= 80 else f"{said[:60]} … {said[-18:]}"
