"""Settings: the settings of a NATS backend, from a URL and checked before a server is reached."""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.delivery.url_options import (
    COUNT,
    SECONDS,
    TEXT,
    UrlOption,
    one_of,
    parse_options,
)

Storage: TypeAlias = Literal["file", "memory"]

# A part of subjects and of the names of streams, and so of the names of folders.
_PREFIX: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
REPLICAS_MAX: Final = 5
# With less, a garbage collection or a slow disk would cause a second delivery.
ACK_WAIT_SECONDS_MIN: Final = 0.5

_OPTIONS: Final[Mapping[str, UrlOption]] = {
    "prefix": TEXT,
    "replicas": COUNT,
    "storage": one_of("file", "memory"),
    "ack_wait": SECONDS,
    "messages_max": COUNT,
    "bytes_max": COUNT,
}


def parse_url(url: str) -> tuple[str, dict[str, Any]]:
    """Split a URL into its servers and the settings in its query, by name.

    Several servers of one cluster are separated by commas: `nats://a:4222,nats://b:4222`.
    """
    servers, _, query = url.partition("?")
    return servers, parse_options(query, _OPTIONS)


def check_settings(**settings: Any) -> None:
    """Raise `Violated` for the first setting that no server can satisfy."""
    for name, value in settings.items():
        match name:
            case "servers" if not all(map(_is_server, value.split(","))):
                # Without the value, which may hold a password.
                raise _refused(name, "nats://host:4222 or tls://host:4222", "something else")
            case "prefix" if not _PREFIX.fullmatch(value):
                raise _refused(name, "1 to 64 letters, digits, - or _", repr(value))
            case "replicas" if not 1 <= value <= REPLICAS_MAX:
                raise _refused(name, f"1 to {REPLICAS_MAX}", repr(value))
            case "storage" if value not in ("file", "memory"):
                raise _refused(name, "file or memory", repr(value))
            case "ack_wait" if not value >= ACK_WAIT_SECONDS_MIN:
                raise _refused(name, f"{ACK_WAIT_SECONDS_MIN} seconds or more", repr(value))
            case "messages_max" | "bytes_max" if value is not None and value < 1:
                raise _refused(name, "1 or more", repr(value))
            case _:
                pass


def _is_server(text: str) -> bool:
    try:
        url = urlsplit(text.strip())
        return url.scheme in ("nats", "tls") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False


def _refused(name: str, expected: str, got: str) -> Violated:
    issue = Issue(name, expected, got)
    return Violated(ConfigViolation("nats: this setting cannot be used", issue))
