"""Settings: the URL of a RabbitMQ, checked before the driver reads it."""

from collections.abc import Mapping
from typing import Final

from arvo.interpreters.delivery.backend_url import BackendUrl, refuse_url
from arvo.interpreters.delivery.url_options import (
    COUNT,
    SECONDS,
    TEXT,
    UrlOption,
    one_of,
    parse_options,
)

# The driver reads these from the query; for some values it would raise a bare ValueError.
_OPTIONS: Final[Mapping[str, UrlOption]] = {
    "auth": one_of("plain", "external"),
    "cafile": TEXT,
    "capath": TEXT,
    "cadata": TEXT,
    "certfile": TEXT,
    "happy_eyeballs_delay": SECONDS,
    "heartbeat": COUNT,
    "interleave": COUNT,
    "keyfile": TEXT,
    "name": TEXT,
    "no_verify_ssl": one_of("0", "1"),
    "timeout": COUNT,
}


def check_url(url: str) -> str:
    """Return a URL in the form for the driver; raises `Violated`, which shows no password."""
    parts = BackendUrl.parse(url).require_host()
    if "," in parts.hosts:
        raise refuse_url(parts.scheme, "several hosts")
    parse_options(parts.query, _OPTIONS)
    return str(parts)
