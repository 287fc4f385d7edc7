"""Webhook: a listener that posts events to a URL."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, final

import httpx
from attrs import define, field

from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.event import EVENT_BYTES_MAX, Event
from arvo.core.violations.issue import Issue, one_line
from arvo.core.violations.violation import ConfigViolation, ContractViolation, Violated
from arvo.interpreters.delivery.brokers.errors import error_text
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.http.binding import Mode, has_events, read_events, write_event
from arvo.interpreters.http.signature import Secrets, webhook_id
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.runtime.runtime import Runtime

logger: Final = get_logger("http")

# For the whole exchange: httpx limits each read and write alone, and a slow response has many.
REQUEST_SECONDS_MAX: Final = 30.0
# A longer delay would leave the event under way for too long.
RETRY_AFTER_SECONDS_MAX: Final = 3600.0
# Statuses below 500 after which a later request may succeed: timeout, too early, too many requests.
_TRANSIENT: Final = frozenset({408, 425, 429})
# The part of a refusal that goes into the reason of the dead letter.
_REFUSAL_BYTES_MAX: Final = 1024


@final
@define(eq=False)
class Webhook:
    """Posts each event to a URL, and sends the events of the response into the runtime.

    A listener: `runtime.on_domain("partner")(Webhook(runtime, client, url))`, or with `on_address`
    for the answers to a partner that did not wait for them. You open and close
    the *client*, and give it credentials and trusted certificates; httpx verifies certificates by
    default. *mode*: the mode in which events are written. *nulls*: in structured mode attributes
    without a value are null, as Arvo systems in TypeScript need them; some other implementations of
    CloudEvents refuse null.

    *secret*: what it signs each post with, by Standard Webhooks; with several secrets it signs with
    each. *signed_answers*: the partner signs by the same secret the responses that have events; one
    that is not signed is dead-lettered.

    A 2xx response settles the event, and the events in the response are sent: the replies to this
    event, from the address that it was posted for, and no others (see `Runtime.check`). After no
    response, or 408, 425, 429 or 5xx, it raises `Unavailable`, so that the retry policy of the
    runtime applies, not earlier than `Retry-After`. After any other response, redirects included,
    it raises `Violated`, and the event is dead-lettered at once.
    """

    runtime: Runtime
    client: httpx.AsyncClient
    url: str = field(repr=False)
    mode: Mode = "structured"
    nulls: bool = field(default=True, kw_only=True)
    secret: str | Sequence[str] | None = field(default=None, repr=False, kw_only=True)
    signed_answers: bool = field(default=False, kw_only=True)
    _secrets: Secrets | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._secrets = None if self.secret is None else Secrets.parse(self.secret)
        if self.signed_answers and self._secrets is None:
            issue = Issue("secret", "one, by which the partner signs its answers", "none")
            raise Violated(ConfigViolation("a webhook cannot verify answers", issue))
        try:
            url = httpx.URL(self.url)
        except httpx.InvalidURL:
            url = httpx.URL("")
        if url.scheme not in ("http", "https") or not url.host:
            # Without the URL, which may hold a password.
            issue = Issue("url", "http://host/… or https://host/…", f"{url.scheme or 'none'}:…")
            raise Violated(ConfigViolation("a webhook needs an HTTP URL", issue))

    async def __call__(self, event: Event[Any]) -> None:
        """Post an event."""
        message = write_event(event, self.mode, nulls=self.nulls)
        headers = {**message.headers, "accept-encoding": "identity"}
        if self._secrets is not None:
            headers |= self._secrets.sign(webhook_id(event), utc_now(), message.body)
        try:
            async with (
                asyncio.timeout(REQUEST_SECONDS_MAX),
                self.client.stream(
                    "POST",
                    self.url,
                    content=message.body,
                    headers=headers,
                    # The event may be meant for this URL only.
                    follow_redirects=False,
                ) as response,
            ):
                answers = await self._read_answers(response)
        except TimeoutError:
            raise Unavailable(f"{self._host} did not answer in {REQUEST_SECONDS_MAX:g} s") from None
        except httpx.TransportError as error:
            text = one_line(error_text(error))
            raise Unavailable(f"{self._host} cannot be reached: {text}") from error
        # All are checked before the first is sent.
        for answer in answers:
            self._check_parent(event, answer)
        for answer in answers:
            if await self._was_answered(event, answer):
                # An event is posted more than once where a process dies after the response.
                extra = fields(event, host=self._host)
                logger.debug("a webhook repeats an answer", extra=extra)
            else:
                await self.runtime.send(answer)

    async def _read_answers(self, response: httpx.Response) -> list[Event[Any]]:
        if not response.is_success:
            raise await self._refusal(response)
        if not has_events(response.headers.raw):
            return []
        body = await _read_body(response, EVENT_BYTES_MAX)
        if len(body) > EVENT_BYTES_MAX:
            issue = Issue("response", f"at most {EVENT_BYTES_MAX} bytes", "more")
            raise Violated(ConfigViolation(f"the response of {self._host} is too large", issue))
        if self.signed_answers and self._secrets is not None:
            refused = self._secrets.refuse(response.headers.raw, body)
            if refused is not None:
                text = f"the response of {self._host} is not signed by the partner"
                raise Violated(ContractViolation(text, refused))
        return read_events(response.headers.raw, body)

    async def _was_answered(self, event: Event[Any], answer: Event[Any]) -> bool:
        record = await self.runtime.record(answer.subject)
        return record is not None and event.id not in record.pending_requests

    def _check_parent(self, event: Event[Any], answer: Event[Any]) -> None:
        """Raise `Violated` for an answer to another event than the one that was posted."""
        parent = event.raw.get(PARENT_SUBJECT)
        # A workflow replies on the subject of its parent, an event handler on that of the request.
        subject = event.subject if parent is None else parent
        issues = [
            Issue(name, repr(expected), repr(got))
            for name, expected, got in (
                ("parentid", event.id, answer.parentid),
                ("subject", subject, answer.subject),
            )
            if expected != got
        ]
        if issues:
            text = f"{self._host} answered event {event.id!r} with an event that is no reply to it"
            raise Violated(ContractViolation(text, tuple(issues)))

    async def _refusal(self, response: httpx.Response) -> Exception:
        status = response.status_code
        body = (await _read_body(response, _REFUSAL_BYTES_MAX)).decode(errors="replace")
        text = f"{status} {response.reason_phrase}: {one_line(body)}"
        if status >= 500 or status in _TRANSIENT:
            after = parse_retry_after(response.headers.get("retry-after", ""), utc_now)
            return Unavailable(f"{self._host} answered {text}", after=after)
        issue = Issue("status", "2xx", text)
        return Violated(ConfigViolation(f"{self._host} refused the event", issue))

    @property
    def _host(self) -> str:
        return httpx.URL(self.url).host


def parse_retry_after(value: str, now: Callable[[], datetime]) -> float:
    """Return the seconds in a `Retry-After` header (RFC 9110 §10.2.3), 0 if it cannot be parsed.

    >>> from arvo.interpreters.delivery.clock import utc_now
    >>> [parse_retry_after(value, utc_now) for value in ("7", "soon", "9" * 99)]
    [7.0, 0.0, 3600.0]
    """
    if value.isascii() and value.isdigit():
        return min(float(value), RETRY_AFTER_SECONDS_MAX)
    try:
        at = parsedate_to_datetime(value)
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - now()).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), RETRY_AFTER_SECONDS_MAX)


async def _read_body(response: httpx.Response, bytes_max: int) -> bytes:
    """Read a body up to the first chunk beyond *bytes_max*; the request refuses compression."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > bytes_max:
            break
    return bytes(body)
