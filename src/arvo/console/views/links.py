"""Links: the addresses of the console's pages, below the path that it is mounted at."""

import re
from typing import Final, final
from urllib.parse import quote, urlencode

from attrs import frozen

from arvo.interpreters.http.workflow_json import to_path

# The trace id in a traceparent (W3C Trace Context §3.2.2).
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
TRACE_ID: Final = "{trace_id}"


class Href(str):
    """An address: as long as it is, and never cut."""

    __slots__ = ()


@final
@frozen
class Links:
    """Makes addresses; *root* is the path that the console is mounted at, without a final slash.

    *trace_url*: the address of a trace elsewhere, with `{trace_id}` in the place of its id; empty
    where traces have no pages.

    >>> Links("/arvo").to("workflows", status="failed", q="")
    '/arvo/workflows?status=failed'
    """

    root: str
    trace_url: str = ""

    def to(self, page: str = "", **query: object) -> Href:
        """Return the address of a page; a query value of None, or an empty one, is left out."""
        given = {name: value for name, value in query.items() if value not in (None, "", ())}
        text = urlencode(given, doseq=True)
        return Href(f"{self.root}/{page}?{text}" if text else f"{self.root}/{page}")

    def workflow(self, subject: str, tab: str = "", **query: object) -> Href:
        """Return the address of a workflow's page, on one of its tabs."""
        return self.to(f"workflows/{quote(to_path(subject), safe='')}", tab=tab, **query)

    def what_if(self, subject: str, revision: int) -> Href:
        """Return the address of the page that takes a turn again."""
        return self.to(f"what-if/{quote(to_path(subject), safe='')}", revision=revision)

    def act(self, verb: str, subject: str, **query: object) -> Href:
        """Return the address of the form by which an operator acts on a workflow."""
        return self.to(f"act/{verb}/{quote(to_path(subject), safe='')}", **query)

    def trace(self, traceparent: str | None) -> Href | None:
        """Return the address of the trace of an event; None if it has none, or traces no pages."""
        found = _TRACEPARENT.fullmatch(traceparent or "")
        return (
            Href(self.trace_url.replace(TRACE_ID, found[1])) if found and self.trace_url else None
        )


def is_trace_url(text: str) -> bool:
    """Return whether a text is the address of a trace, with `{trace_id}` in the place of its id.

    >>> is_trace_url("http://jaeger/trace/{trace_id}"), is_trace_url("javascript:{trace_id}")
    (True, False)
    """
    return text.startswith(("http://", "https://")) and TRACE_ID in text and text.isprintable()
