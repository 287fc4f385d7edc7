"""Links: the addresses of the console's pages, below the path that it is mounted at."""

from typing import final
from urllib.parse import quote, urlencode

from attrs import frozen

from arvo.interpreters.http.workflow_json import to_path


class Href(str):
    """An address: as long as it is, and never cut."""

    __slots__ = ()


@final
@frozen
class Links:
    """Makes addresses; *root* is the path that the console is mounted at, without a final slash.

    >>> Links("/arvo").to("workflows", status="failed", q="")
    '/arvo/workflows?status=failed'
    """

    root: str

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
