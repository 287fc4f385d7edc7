"""Settings: what a NATS URL may ask for, and what is refused before a server is."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated

Storage: TypeAlias = Literal["file", "memory"]

# The first token of our subjects, and a part of the names of streams, which are folders' names too.
_PREFIX: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
REPLICAS_MAX: Final = 5
# Shorter, and a garbage collection or a slow disk would have a message handed out twice.
ACK_WAIT_SECONDS_MIN: Final = 0.5

_READ: Final[Mapping[str, Callable[[str], Any]]] = {
    "prefix": str,
    "replicas": int,
    "storage": str,
    "ack_wait": float,
    "messages_max": int,
    "bytes_max": int,
}


def read(url: str) -> tuple[str, dict[str, Any]]:
    """Take a URL apart into its servers and the settings in its query, by name.

    Several servers of one cluster stand with commas between them: `nats://a:4222,nats://b:4222`.
    """
    servers, _, query = url.partition("?")
    given: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in _READ:
            # Not the value, which may be a secret under a name that is misspelt.
            raise _refused(name, f"one of {', '.join(_READ)}", "another name")
        try:
            given[name] = _READ[name](text)
        except ValueError:
            raise _refused(name, "a number", repr(text)) from None
    return servers, given


def check(**given: Any) -> None:
    """Refuse settings that no server could carry out; raises `Violated` that names the first."""
    for name, value in given.items():
        match name:
            case "servers" if not all(map(_is_server, value.split(","))):
                # Not the value itself, which may hold a password.
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
    return Violated(ConfigViolation("nats: this setting cannot be", issue))
