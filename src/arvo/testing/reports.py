"""Reports: what effects report, in a test that calls them without a worker."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from arvo.handlers.report import REPORTER


@contextmanager
def collect_reports() -> Iterator[list[Any]]:
    """Collect what is reported within the block, as JSON data, in a list.

    By a function that the block calls or awaits, and by the functions of a `run`.

    >>> from arvo import report
    >>> with collect_reports() as reports:
    ...     report({"percent": 50})
    >>> reports
    [{'percent': 50}]
    """
    reports: list[Any] = []
    token = REPORTER.set(lambda content: reports.append(orjson.loads(content)))
    try:
        yield reports
    finally:
        REPORTER.reset(token)
