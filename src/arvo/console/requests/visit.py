"""Visit: one request to the console: who asks for what, and the page that answers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, final
from urllib.parse import parse_qsl

from attrs import define, field, frozen
from starlette.requests import ClientDisconnect, Request

from arvo.console.jobs.runner import Jobs
from arvo.console.metrics.sampler import Sampler
from arvo.console.requests.access import Reader, Verb
from arvo.console.requests.security import FORM_BYTES_MAX, find_forgery
from arvo.console.views.links import Href, Links
from arvo.console.views.secrets import Redaction
from arvo.core.record import Record
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.delivery.log import fields, get_logger

# A list may have so many selected rows, and a few other fields.
logger: Final = get_logger("console")
FORM_FIELDS_MAX: Final = 1_100
_FORM: Final = "application/x-www-form-urlencoded"


class Refused(Exception):
    """A request that gets a page with its reason: *status*, a *title* and a *text*."""

    def __init__(self, status: int, title: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.title = title
        self.text = text


@final
@frozen(kw_only=True)
class Page:
    """What answers a visit: a *template* and the *view* that it prints, with *more* by name.

    *section*: the page of the rail that it belongs to, *crumbs* the pages between. *is_live*:
    whether it is read again when a workflow changes.
    """

    template: str
    title: str
    view: Any = None
    status: int = 200
    section: str = ""
    crumbs: Sequence[tuple[str, Href]] = ()
    is_live: bool = False
    more: Mapping[str, Any] = field(factory=dict)


@final
@define(eq=False)
class Visit:
    """One request.

    *token*: repeated by the forms of the page. *redaction*: hides secrets in its texts. *jobs*,
    *sampler*: those of the console.
    """

    request: Request
    reader: Reader
    redaction: Redaction
    links: Links
    token: str
    jobs: Jobs
    sampler: Sampler
    now: datetime = field(factory=utc_now)

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query of the address."""
        return list(self.request.query_params.multi_items())

    def number(self, name: str) -> int | None:
        """Return a whole number of the query, or None."""
        text = self.request.query_params.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None

    async def require(self, verb: Verb, record: Record | None = None) -> None:
        """Refuse the visit of a user who may not do *verb*."""
        if not await self.reader.may(verb, record):
            raise Refused(403, "Not allowed", f"You may not {verb.replace('_', ' ')} here.")

    async def form(self) -> dict[str, str]:
        """Read the fields of a form that a page of this console sent."""
        return dict(await self.form_pairs())

    async def form_pairs(self) -> list[tuple[str, str]]:
        """Read the fields of a form that a page of this console sent, also repeated ones.

        Not by Starlette, which needs another package for the plain kind of form.
        """
        if self.request.headers.get("content-type", "").partition(";")[0] != _FORM:
            raise Refused(415, "Not a form", f"Expected a form as {_FORM}.")
        body = bytearray()
        try:
            async for chunk in self.request.stream():
                body += chunk
                if len(body) > FORM_BYTES_MAX:
                    raise Refused(413, "Too large", "The form has more than 4 MiB.")
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX)
        except (ValueError, ClientDisconnect) as error:
            raise Refused(400, "Not a form", "The form cannot be read.") from error
        if forgery := find_forgery(self.request, dict(pairs).get("token", "")):
            raise Refused(403, "Not sent from the console", f"Nothing was done: {forgery}.")
        return pairs


def log_act(visit: Visit, verb: str, subject: str, reason: str | None) -> None:
    """Log that a user acts, before the act: one that is not recorded does not happen."""
    extra = fields(verb=verb, user=visit.reader.user, subject=subject, reason=reason)
    logger.info("an operator acts by the console", extra=extra)
