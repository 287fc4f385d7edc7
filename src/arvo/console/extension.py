"""Extension: pages and forms that a command adds to the console, as `arvo dev` does."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from typing import TypeAlias, final

from attrs import field, frozen
from starlette.responses import Response

from arvo.console.requests.visit import Page, Visit
from arvo.interpreters.runtime.client import Client

Respond: TypeAlias = Callable[[Client, Visit], Awaitable[Page | Response]]


@final
@frozen(kw_only=True)
class Extension:
    """Pages that a console has beyond its own.

    *pages*, *actions*: the functions that answer GET and POST, by path. *sections*: further links
    of the rail, by their path. *changed*: returns the subjects of the events that were handled
    since it was called last, for which open pages are read again. *ahead*: returns how far the
    clock of the process is ahead of the host's, None where no page can move it.
    """

    pages: Mapping[str, Respond] = field(factory=dict)
    actions: Mapping[str, Respond] = field(factory=dict)
    sections: tuple[tuple[str, str], ...] = ()
    changed: Callable[[], Collection[str]] = tuple
    ahead: Callable[[], timedelta | None] = lambda: None


NO_EXTENSION = Extension()
