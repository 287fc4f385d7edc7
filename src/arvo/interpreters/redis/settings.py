"""Settings: the options in the query of a Redis URL."""

from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from redis.asyncio.connection import URL_QUERY_ARGUMENT_PARSERS

from arvo.interpreters.delivery.url_options import (
    COUNT,
    SECONDS,
    TEXT,
    UrlOption,
    refuse_option,
    take_options,
)

_OPTIONS: Final[dict[str, UrlOption]] = {"prefix": TEXT, "lease": SECONDS, "queue_max": COUNT}
# The driver reads these from the rest of the query; any other name would be a bare TypeError.
_DRIVER_OPTIONS: Final = frozenset(
    {*URL_QUERY_ARGUMENT_PARSERS, "client_name", "password", "username"}
    | {"ssl_ca_certs", "ssl_ca_data", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile"}
)


def parse_url(url: str) -> tuple[str, dict[str, Any]]:
    """Return the URL for the driver and the options that are ours, by name.

    A pair of both halves has one URL, so each half receives the options of the other as well.
    Raises `Violated` for an unknown option.
    """
    parts = urlsplit(url)
    options, rest = take_options(parts.query, _OPTIONS)
    for name, _ in parse_qsl(rest, keep_blank_values=True):
        if name not in _DRIVER_OPTIONS:
            known = ", ".join(sorted({*_OPTIONS, *_DRIVER_OPTIONS}))
            raise refuse_option(name, f"one of {known}", "an unknown option")
    return urlunsplit(parts._replace(query=rest)), options
