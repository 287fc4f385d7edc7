"""Listeners: the functions that receive the events that leave the system, and their timeouts."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeAlias, final

from attrs import define, field, frozen

from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.step.route import ToCaller, ToDomain
from arvo.handlers.duration import to_seconds
from arvo.interpreters.calls.running import running
from arvo.interpreters.calls.threads import THREADS_PER_DELIVERY, ThreadPool
from arvo.interpreters.ports.errors import Unavailable
from arvo.interrupts import is_interrupt

Listener: TypeAlias = Callable[[Event[Any]], Awaitable[None] | None]

# How long a listener may take, by default. A webhook, whose own error is clearer, gives up earlier.
LISTENER_SECONDS: Final = 60.0


class ListenerFailed(Exception):
    """A listener raised an exception or timed out; a later attempt may succeed.

    *after*: the shortest delay in seconds.
    """

    def __init__(self, text: str, after: float = 0.0) -> None:
        super().__init__(text)
        self.after = after


@final
@frozen
class BoundedListener:
    """A listener with its *timeout* in seconds. *name*: the text that reasons and logs show.

    A coroutine function runs in the event loop, and is cancelled when it times out. Any other
    function runs in one of *threads*, and occupies it until it returns.
    """

    function: Listener
    timeout: float
    name: str
    threads: ThreadPool

    async def call(self, event: Event[Any]) -> None:
        """Call the listener. Raises `ListenerFailed`, or `Violated` as the listener does."""
        try:
            async with asyncio.timeout(self.timeout) as limit:
                with running(self.name):
                    await self._invoke(event)
        except (Violated, asyncio.CancelledError):
            raise
        except BaseException as error:
            if is_interrupt(error):
                raise
            if isinstance(error, TimeoutError) and limit.expired():
                text = f"{self.name} did not return within {self.timeout:g} s"
                raise ListenerFailed(text) from error
            after = error.after if isinstance(error, Unavailable) else 0.0
            raise ListenerFailed(f"{self.name} raised {error!r}", after) from error

    async def _invoke(self, event: Event[Any]) -> None:
        if _is_coroutine_function(self.function):
            result = self.function(event)
        else:
            text = f"event {event.id}"
            result = await self.threads.run(self.function, event, text=text)
        if inspect.isawaitable(result):
            await result


@final
@define(eq=False)
class Listeners:
    """The listeners of a runtime: by domain, where the one for None takes all other domains, and by
    the address of a caller or the name of a subscription.

    *concurrent_max*: the number of events that one destination processes at the same time.
    """

    concurrent_max: int
    # Called when an address or a domain has got a listener.
    on_added: Callable[[], None] = field(default=lambda: None, init=False)
    _by_domain: dict[str | None, BoundedListener] = field(factory=dict, init=False)
    _by_address: dict[str, BoundedListener] = field(factory=dict, init=False)

    def on_domain(
        self, domain: str | None, timeout: float | timedelta
    ) -> Callable[[Listener], Listener]:
        """Return a decorator that adds a listener (see `Runtime.on_domain`)."""
        if domain is not None:
            _require_text("domain", domain, "on_domain()")
        seconds = _positive_seconds(timeout)

        def register(listener: Listener) -> Listener:
            _require_unused("domain", domain, self._by_domain)
            name = f"the listener of {'all other domains' if domain is None else domain}"
            self._by_domain[domain] = self._bound(listener, seconds, name)
            self.on_added()
            return listener

        return register

    def on_address(
        self, address: str, timeout: float | timedelta
    ) -> Callable[[Listener], Listener]:
        """Return a decorator that adds a listener (see `Runtime.on_address`)."""
        _require_text("address", address, 'on_address("com.shop.web")')
        seconds = _positive_seconds(timeout)

        def register(listener: Listener) -> Listener:
            _require_unused("address", address, self._by_address)
            name = f"the listener of {address}"
            self._by_address[address] = self._bound(listener, seconds, name)
            self.on_added()
            return listener

        return register

    def on_subscription(
        self, name: str, timeout: float | timedelta
    ) -> Callable[[Listener], Listener]:
        """Return a decorator that adds a listener (see `Runtime.on_workflow_complete`)."""
        seconds = _positive_seconds(timeout)

        def register(listener: Listener) -> Listener:
            _require_unused("subscription", name, self._by_address)
            text = f"the listener of the subscription {name}"
            self._by_address[name] = self._bound(listener, seconds, text)
            self.on_added()
            return listener

        return register

    def find(self, to: ToDomain | ToCaller) -> BoundedListener | None:
        """Return the listener of a destination, or None."""
        match to:
            case ToDomain(domain=domain):
                return self._by_domain.get(domain) or self._by_domain.get(None)
            case ToCaller(address=address):
                return self._by_address.get(address)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses and the subscriptions that have a listener."""
        return tuple(self._by_address)

    @property
    def domains(self) -> tuple[str | None, ...]:
        """The domains that have a listener; None if one listens to all others."""
        return tuple(self._by_domain)

    @property
    def number(self) -> int:
        """How many listeners there are; none is ever removed."""
        return len(self._by_domain) + len(self._by_address)

    def close(self) -> None:
        """End the threads that are idle (see `ThreadPool.close`)."""
        for listener in (*self._by_domain.values(), *self._by_address.values()):
            listener.threads.close()

    def _bound(self, listener: Listener, seconds: float, name: str) -> BoundedListener:
        threads = ThreadPool(name, THREADS_PER_DELIVERY * self.concurrent_max)
        return BoundedListener(listener, seconds, name, threads)


def _require_text(argument: str, value: object, usage: str) -> None:
    """Refuse `@runtime.on_domain`: the function would become the name of a domain."""
    if not isinstance(value, str) or not value:
        article = "an" if argument == "address" else "a"
        or_none = " or None" if argument == "domain" else ""
        expected = f"{article} {argument}{or_none}: write `@runtime.{usage}` with parentheses"
        got = repr(value) if isinstance(value, str) else f"an object of type {type(value).__name__}"
        raise Violated(
            ConfigViolation(
                f"a listener needs {article} {argument}", Issue(argument, expected, got)
            )
        )


def _require_unused(
    argument: str, value: str | None, used: Mapping[str | None, object] | Mapping[str, object]
) -> None:
    if value in used:
        issue = Issue(argument, f"one listener for each {argument}", repr(value))
        raise Violated(ConfigViolation(f"this {argument} already has a listener", issue))


def _positive_seconds(timeout: float | timedelta) -> float:
    seconds = to_seconds("timeout", timeout)
    if seconds > 0:
        return seconds
    issue = Issue("timeout", "more than 0 seconds", repr(timeout))
    raise Violated(ConfigViolation("a listener needs time", issue))


def _is_coroutine_function(listener: Listener) -> bool:
    """Return True for an `async def`, and for an object whose `__call__` is one."""
    call = getattr(listener, "__call__", None)  # noqa: B004 - not whether it can be called
    return inspect.iscoroutinefunction(listener) or inspect.iscoroutinefunction(call)
