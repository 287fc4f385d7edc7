"""Settings: the options in the query of a Redis URL."""

from typing import Any, Final
from urllib.parse import urlencode

from redis.asyncio.connection import URL_QUERY_ARGUMENT_PARSERS

from arvo.interpreters.delivery.backend_url import BackendUrl, refuse_url
from arvo.interpreters.delivery.url_options import (
    COUNT,
    SECONDS,
    TEXT,
    YES_OR_NO,
    UrlOption,
    refuse_option,
    take_options,
)

_OPTIONS: Final[dict[str, UrlOption]] = {
    "prefix": TEXT,
    "lease": SECONDS,
    "queue_max": COUNT,
    "index": YES_OR_NO,
}
# The driver reads these from the rest of the query; any other name would be a bare TypeError.
_DRIVER_OPTIONS: Final = frozenset(
    {*URL_QUERY_ARGUMENT_PARSERS, "client_name", "password", "username"}
    | {"ssl_ca_certs", "ssl_ca_data", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile"}
)


def check_url(url: str) -> str:
    """Return a URL for the driver; raises `Violated` for one with options that are ours."""
    driver_url, options = parse_url(url)
    for name in options:
        raise refuse_option(name, "an argument of the class, or the URL of a backend", "an option")
    return driver_url


def parse_url(url: str) -> tuple[str, dict[str, Any]]:
    """Return the URL for the driver and the options that are ours, by name.

    A pair of both halves has one URL, so each half receives the options of the other as well.
    Raises `Violated` for an unknown option.
    """
    parts = BackendUrl.parse(url)
    if "," in parts.hosts:
        raise refuse_url(parts.scheme, "several hosts")
    options, others = take_options(parts.query, _OPTIONS, _DRIVER_OPTIONS)
    for name, text in others:
        try:
            URL_QUERY_ARGUMENT_PARSERS.get(name, str)(text)
        except (TypeError, ValueError):
            raise refuse_option(name, "a value that the driver accepts", "another one") from None
    return str(parts.with_query(urlencode(others))), options
