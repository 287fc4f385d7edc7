"""Settings: the settings of a NATS backend, from a URL and checked before a server is reached."""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, final

from attrs import field, frozen

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.delivery.backend_url import BackendUrl, split_list
from arvo.interpreters.delivery.url_options import (
    COUNT,
    SECONDS,
    TEXT,
    YES_OR_NO,
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
    "index": YES_OR_NO,
}


def parse_url(url: str) -> tuple[str, dict[str, Any]]:
    """Split a URL into its servers and the settings in its query, by name.

    Several servers of one cluster are separated by commas: `nats://a:4222,nats://b:4222`.
    """
    *before, last = _split(url)
    options = parse_options(last.query, _OPTIONS)
    if any(server.query for server in before):
        raise _refused("servers", "settings behind the last server alone", "some behind another")
    servers = ",".join(map(str, (*before, last.with_query(""))))
    return servers, options


@final
@frozen
class Servers:
    """The servers of one cluster, as the driver takes them.

    *urls*: without a login. *user* and *password*, or a *token*: decoded, because the driver sends
    what a URL holds as it is.
    """

    urls: tuple[str, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


def parse_servers(text: str) -> Servers:
    """Read `nats://user:password@a:4222,nats://b:4222`: the login holds for all of them."""
    servers = _split(text)
    logins = {server.login: server.user_and_password for server in servers if server.login}
    if len(logins) > 1:
        raise _refused("servers", "the same login for all servers", "several")
    urls = tuple(f"{server.scheme}://{server.hosts}" for server in servers)
    [(user, password)] = logins.values() or [(None, None)]
    return Servers(urls, user, password) if password is not None else Servers(urls, token=user)


def _split(text: str) -> list[BackendUrl]:
    """Split a list of URLs; raises `Violated`, without the value, which may hold a password."""
    servers = [BackendUrl.parse(url.strip()) for url in split_list(text)]
    for server in servers:
        known = server.scheme in ("nats", "tls") and "," not in server.hosts
        if not known or server.path not in ("", "/"):
            raise _refused("servers", _EXPECTED, "something else")
        server.require_host()
    return servers


_EXPECTED: Final = "nats://host:4222 or tls://host:4222"


def check_settings(**settings: Any) -> None:
    """Raise `Violated` for the first setting that no server can satisfy."""
    for name, value in settings.items():
        match name:
            case "servers":
                parse_servers(value)
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


def _refused(name: str, expected: str, got: str) -> Violated:
    issue = Issue(name, expected, got)
    return Violated(ConfigViolation("nats: this setting cannot be used", issue))
