"""Webhook: a listener that posts events to a URL."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, final

import httpx
from attrs import define, field

from arvo.core.events.event import EVENT_BYTES_MAX, Event
from arvo.core.violations.issue import Issue, one_line
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.http.binding import Mode, carries_event, read, write
from arvo.interpreters.ports.backend import Unavailable
from arvo.interpreters.runtime.runtime import Runtime

# For the whole exchange: httpx bounds each read and write alone, and a slow drip has many.
POST_SECONDS_MAX: Final = 30.0
# Whoever says "come back tomorrow" would keep an event under way until then.
RETRY_AFTER_SECONDS_MAX: Final = 3600.0
# Statuses below 500 that waiting may change: too early, too slow, too often.
_PASSING: Final = frozenset({408, 425, 429})
_TOLD_BYTES_MAX: Final = 1024


@final
@define(eq=False)
class Webhook:
    """Posts each event to a URL, and sends the events that come back into the runtime.

    A listener: `runtime.on_domain("partner")(Webhook(runtime, client, url))`. *client* is yours, to
    open and to close, and says who you are and whom to trust; httpx verifies certificates unless
    told not to. *mode*: how events are written.

    An event counts as gone when the answer is a 2xx, and what that holds is taken. Where there is
    no answer, or 408, 425, 429 or 5xx, `Unavailable` lets the runtime's retry policy go on, not
    before `Retry-After`. Anything else, redirects too, is `Violated`: a dead letter at once.
    """

    runtime: Runtime
    client: httpx.AsyncClient
    url: str = field(repr=False)
    mode: Mode = "structured"

    def __attrs_post_init__(self) -> None:
        try:
            url = httpx.URL(self.url)
        except httpx.InvalidURL:
            url = httpx.URL("")
        if url.scheme not in ("http", "https") or not url.host:
            # Not the URL itself, which may hold a password.
            issue = Issue("url", "http://host/… or https://host/…", f"{url.scheme or 'none'}:…")
            raise Violated(ConfigViolation("nothing can be posted there", issue))

    async def __call__(self, event: Event[Any]) -> None:
        """Post an event."""
        message = write(event, self.mode)
        headers = {**message.headers, "accept-encoding": "identity"}
        try:
            async with (
                asyncio.timeout(POST_SECONDS_MAX),
                self.client.stream(
                    "POST",
                    self.url,
                    content=message.body,
                    headers=headers,
                    # Who is answered with "elsewhere" has not said who that is.
                    follow_redirects=False,
                ) as response,
            ):
                answers = await self._answers(response)
        except TimeoutError:
            raise Unavailable(f"{self._host} did not answer in {POST_SECONDS_MAX:g} s") from None
        except httpx.TransportError as error:
            said = one_line(str(error)) or type(error).__name__
            raise Unavailable(f"{self._host} cannot be reached: {said}") from error
        for answer in answers:
            await self.runtime.send(answer)

    async def _answers(self, response: httpx.Response) -> list[Event[Any]]:
        if not response.is_success:
            raise await self._refused(response)
        if not carries_event(response.headers.raw):
            return []
        body = await _bounded(response, EVENT_BYTES_MAX)
        if len(body) > EVENT_BYTES_MAX:
            issue = Issue("response", f"at most {EVENT_BYTES_MAX} bytes", "more")
            raise Violated(ConfigViolation(f"{self._host} answered too much", issue))
        return read(response.headers.raw, body)

    async def _refused(self, response: httpx.Response) -> Exception:
        status = response.status_code
        told = (await _bounded(response, _TOLD_BYTES_MAX)).decode(errors="replace")
        said = f"{status} {response.reason_phrase}: {one_line(told)}"
        if status >= 500 or status in _PASSING:
            after = retry_after(response.headers.get("retry-after", ""), utc_now)
            return Unavailable(f"{self._host} answered {said}", after=after)
        issue = Issue("status", "2xx", said)
        return Violated(ConfigViolation(f"{self._host} refuses this event", issue))

    @property
    def _host(self) -> str:
        return httpx.URL(self.url).host


def retry_after(value: str, now: Callable[[], datetime]) -> float:
    """Read `Retry-After` (RFC 9110 §10.2.3), in seconds; 0 where it says nothing that can be read.

    >>> retry_after("7", utc_now), retry_after("soon", utc_now), retry_after("9" * 99, utc_now)
    (7.0, 0.0, 3600.0)
    """
    if value.isascii() and value.isdigit():
        return min(float(value), RETRY_AFTER_SECONDS_MAX)
    try:
        at = parsedate_to_datetime(value)
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - now()).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), RETRY_AFTER_SECONDS_MAX)


async def _bounded(response: httpx.Response, bytes_max: int) -> bytes:
    """Read a body, at most a little more than *bytes_max* of it; compressed is not asked for."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > bytes_max:
            break
    return bytes(body)
