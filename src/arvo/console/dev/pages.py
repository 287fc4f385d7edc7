"""Pages: the deliveries of a runtime, and the form that skips to the next timer."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from attrs import frozen
from starlette.responses import RedirectResponse, Response

from arvo.console.dev.deliveries import Deliveries, HandledDelivery
from arvo.console.extension import Extension, Respond
from arvo.console.requests.visit import Page, Refused, Visit, log_act
from arvo.interpreters.delivery.clock import clock_ahead, utc_now
from arvo.interpreters.ports.results import DueTimer
from arvo.interpreters.runtime.client import Client

# Beyond that the clock would come near the end of the calendar, which is the year 9999.
AHEAD_MAX: Final = timedelta(days=36_525)


def dev_extension(
    deliveries: Deliveries | None, set_ahead: Callable[[timedelta], None] | None
) -> Extension:
    """Return the pages that the console of `arvo dev` has beyond that of an operator.

    *deliveries*: None where the runtime has another observer. *set_ahead*: puts the clock of the
    process so far ahead of the host's; None where the backend has a clock of its own.
    """
    pages: dict[str, Respond] = {}
    if deliveries is not None:
        pages["/deliveries"] = _deliveries_page(deliveries)
    return Extension(
        pages=pages,
        actions={} if set_ahead is None else {"/skip": _skip_action(set_ahead)},
        sections=() if deliveries is None else (("deliveries", "Deliveries"),),
        changed=tuple if deliveries is None else deliveries.changed,
        ahead=(lambda: None) if set_ahead is None else clock_ahead,
    )


@frozen
class DeliveryRow:
    """One delivery, and its duration in words."""

    delivery: HandledDelivery
    duration: str


@frozen
class DeliveriesView:
    """The newest deliveries, of all that the process has handled: their *number*."""

    rows: tuple[DeliveryRow, ...]
    number: int


def show_deliveries(deliveries: Deliveries) -> DeliveriesView:
    """Return the newest deliveries as a page shows them."""
    rows = (DeliveryRow(it, duration_text(it.seconds)) for it in deliveries.newest)
    return DeliveriesView(tuple(rows), deliveries.number)


def duration_text(seconds: float) -> str:
    """Return a time in words.

    >>> duration_text(0.00042), duration_text(1.5)
    ('0.4 ms', '1.50 s')
    """
    return f"{seconds * 1_000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _deliveries_page(deliveries: Deliveries) -> Respond:
    async def respond(_: Client, visit: Visit) -> Page:
        await visit.require("see")
        return Page(
            template="deliveries.html",
            title="Deliveries",
            view=show_deliveries(deliveries),
            section="deliveries",
            is_live=True,
        )

    return respond


def _skip_action(set_ahead: Callable[[timedelta], None]) -> Respond:
    async def respond(client: Client, visit: Visit) -> Response:
        form = await visit.form()
        await visit.require("send")
        timer = await next_timer(client, utc_now())
        if timer is not None:
            ahead = clock_ahead() + (timer.due - utc_now())
            if ahead > AHEAD_MAX:
                text = f"The next one is due at {timer.due:%Y-%m-%d}, over 100 years from now."
                raise Refused(422, "The timer is too far away", text)
            reason = f"the timer {timer.name}, due {timer.due}"
            log_act(visit, "skip", timer.subject, reason)
            set_ahead(ahead)
        done = "skip-none" if timer is None else "skip"
        return RedirectResponse(_back(visit, form.get("back", ""), done), 303)

    return respond


async def next_timer(client: Client, now: datetime) -> DueTimer | None:
    """Return the next timer of those that are not due yet; None if there is none."""
    after = DueTimer(id="", name="", subject="", handler="", due=now)
    return next(iter(await client.timers(after=after, limit=1)), None)


def _back(visit: Visit, address: str, done: str) -> str:
    """Return the address of the page with the button, with the act that was *done*."""
    parts = urlsplit(address)
    is_own = not (parts.scheme or parts.netloc) and parts.path.startswith(visit.links.to())
    if not is_own or "\\" in address:
        return visit.links.to("timers", done=done)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "done"]
    return f"{parts.path}?{urlencode([*query, ('done', done)])}"
