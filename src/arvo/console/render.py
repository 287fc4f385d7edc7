"""Render: prints a view by its template. Templates print, they decide nothing."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from arvo.console.views.data import Block, digest_of
from arvo.console.views.links import Href
from arvo.printable import printable, printable_lines

TEMPLATES: Final = Path(__file__).parent / "templates"
ASSETS: Final = Path(__file__).parent / "assets"
# The name in a template's context of the function that hides secrets in each printed text.
SCRUB: Final = "scrub"
# A text that is longer than a page has room for: ids and reasons of other programs.
TEXT_CHARACTERS_MAX: Final = 2_000


def make_environment() -> Environment:
    """Make the environment of the templates.

    Every text that a template prints passes `_finalize`, and is escaped as HTML after that.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_finalize,
    )
    environment.filters["time"] = show_time
    environment.filters["digest"] = digest_of
    environment.globals["block"] = Block
    return environment


@pass_context
def _finalize(context: Context, value: Any) -> Any:
    """Return a value as it may be printed: without secrets, and with all characters visible."""
    match value:
        case Markup():
            return value
        case str():
            # A template that is rendered without it fails, and shows nothing.
            scrub: Callable[[str], str] = context[SCRUB]
            text = scrub(str(value))
            if isinstance(value, Block):
                return printable_lines(text)
            return printable(text, None if isinstance(value, Href) else TEXT_CHARACTERS_MAX)
        case _:
            return value


def show_time(at: datetime | None) -> Markup:
    """Return a time as an element that scripts can show in another zone, and people can read.

    >>> print(show_time(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)))
    <time datetime="2026-01-02T03:04:05+00:00">2026-01-02 03:04:05 UTC</time>
    """
    if at is None:
        return Markup("–")
    utc = at.astimezone(UTC)
    exact = escape(utc.isoformat())
    return Markup('<time datetime="{}">{}</time>').format(exact, f"{utc:%Y-%m-%d %H:%M:%S} UTC")
