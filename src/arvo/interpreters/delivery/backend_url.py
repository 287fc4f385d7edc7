"""Backend URL: the URL of a backend as its parts, and errors that show no part of its password.

All adapters read their URLs here. The parsers of the standard library and of the drivers accept a
password with a `/`, `?`, `#` or `@` that is not percent-encoded, and take a part of it for a host,
a port or an option. Their errors, and those of the server, then show that part.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv6Address
from typing import Final, final
from urllib.parse import quote, unquote

from attrs import evolve, field, frozen

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated

# A right URL of each scheme of ours, for error messages.
EXAMPLES: Final[Mapping[str, str]] = {
    "amqp": "amqp://user:password@host:5672/vhost",
    "amqps": "amqps://user:password@host:5671/vhost",
    "kafka": "kafka://host:9092",
    "memory": "memory:",
    "nats": "nats://user:password@host:4222",
    "postgres": "postgresql://user:password@host/database",
    "postgresql": "postgresql://user:password@host/database",
    "redis": "redis://user:password@host:6379/0",
    "rediss": "rediss://user:password@host:6379/0",
    "sqlite": "sqlite:///orders.db",
    "tls": "tls://user:password@host:4222",
}
PORT_MAX: Final = 65_535

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]{0,31}):")
_HOST: Final = re.compile(r"(\[[^\[\]]*\]|[A-Za-z0-9._~%-]*)(?::([0-9]{1,5}))?", re.ASCII)
# The characters of a login that stay as they are; drivers take others for the syntax of a URL.
_LOGIN_SAFE: Final = "%!$&'()*+,;=:~"
_ENCODE: Final = (
    "in user and password, %2F for /, %40 for @, %23 for #, %3F for ?, %20 for a space; "
    "%40 for @ everywhere else"
)


@final
@frozen
class BackendUrl:
    """The parts of a URL, `scheme://login@hosts/path?query`.

    *login*: `user:password`, encoded; None without one. *hosts*: `host:port`, several with commas.
    *path*: empty, or from its slash on.
    """

    scheme: str
    login: str | None = field(repr=False)
    hosts: str
    path: str
    query: str = field(repr=False)

    @staticmethod
    def parse(url: str) -> "BackendUrl":
        """Read a URL with a host; raises `Violated`, whose text shows nothing of the URL but its
        scheme.

        >>> BackendUrl.parse("postgresql://ann:s%2Fcret@db:5432/shop")
        BackendUrl(scheme='postgresql', hosts='db:5432', path='/shop')
        >>> BackendUrl.parse("postgresql://ann:s/cret@db:5432/shop")
        Traceback (most recent call last):
        ...
        arvo.core.violations.violation.Violated: ConfigViolation: postgresql: the URL cannot be \
read: backend: expected an encoded URL such as postgresql://user:password@host/database (in user \
and password, %2F for /, %40 for @, %23 for #, %3F for ?, %20 for a space; %40 for @ everywhere \
else), got a character that must be encoded
        """
        scheme = scheme_of(url)
        rest = url.removeprefix(f"{scheme}://")
        if not scheme or rest == url:
            raise refuse_url(scheme, "no // and host after the scheme")
        if not rest.isprintable() or " " in rest:
            raise refuse_url(scheme, "a space or a control character", encode=True)
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        after = rest[len(authority) :]
        if authority.count("@") > 1 or "@" in after or "#" in after:
            raise refuse_url(scheme, "a character that must be encoded", encode=True)
        login, has_login, hosts = authority.rpartition("@")
        for host in hosts.split(","):
            _check_host(scheme, host)
        path, _, query = after.partition("?")
        encoded = quote(login, safe=_LOGIN_SAFE) if has_login else None
        return BackendUrl(scheme, encoded, hosts, path, query)

    def __str__(self) -> str:
        login = "" if self.login is None else f"{self.login}@"
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{login}{self.hosts}{self.path}{query}"

    @property
    def user_and_password(self) -> tuple[str | None, str | None]:
        """The decoded login. A login without a colon has no password."""
        if self.login is None:
            return None, None
        user, colon, password = self.login.partition(":")
        return unquote(user), unquote(password) if colon else None

    def with_query(self, query: str) -> "BackendUrl":
        """Return this URL with another query."""
        return evolve(self, query=query)

    def require_host(self) -> "BackendUrl":
        """Return this URL; raises `Violated` where a host is missing."""
        if not all(host and not host.startswith(":") for host in self.hosts.split(",")):
            raise refuse_url(self.scheme, "no host")
        return self


def scheme_of(url: str) -> str:
    """Return the scheme of a URL, an empty text where there is none.

    >>> scheme_of("nats://host"), scheme_of("secret@host:80"), scheme_of("orders.db")
    ('nats', '', '')
    """
    match = _SCHEME.match(url)
    return "" if match is None else match[1]


def show_url(url: str) -> str:
    """Return a URL, or a pair of them, as a log may show it: at most schemes, hosts and files.

    >>> show_url("postgresql://ann:secret@db:5432/shop")
    'postgresql://db:5432'
    >>> show_url("postgresql://ann:secret@db:5432/shop nats://bob:secret@queue")
    'postgresql://db nats://queue'
    """
    if _has_no_host(url):
        return _show_part(url, with_ports=True)
    lists = [split_list(part) for part in url.split()]
    # A space or a comma in a password makes two URLs of one, and the port of the first may be the
    # beginning of the password.
    with_ports = sum(map(len, lists)) == 1
    try:
        return " ".join(
            ",".join(_show_part(part, with_ports=with_ports) for part in parts) for parts in lists
        )
    except Violated:
        scheme = scheme_of(url)
        return f"{scheme}:…" if scheme in EXAMPLES else "…"


def _show_part(url: str, *, with_ports: bool) -> str:
    if _has_no_host(url):
        scheme = scheme_of(url)
        # With a host where none belongs, the text may be the beginning of a login with a space.
        has_host = re.match(f"{scheme}://[^/]", url) is not None
        return f"{scheme}:…" if has_host else url
    parts = BackendUrl.parse(url)
    hosts = parts.hosts if with_ports else _PORT.sub("", parts.hosts)
    return f"{parts.scheme}://{hosts}"


_PORT: Final = re.compile(r":[0-9]+(?=,|$)")


def split_list(text: str) -> list[str]:
    """Split a list of URLs, as NATS has it for the servers of one cluster.

    >>> split_list("nats://a:4222,nats://b:4222")
    ['nats://a:4222', 'nats://b:4222']
    """
    return _LIST.split(text)


_LIST: Final = re.compile(r",\s*(?=[a-z]+://)")


def check_urls(text: str) -> None:
    """Raise `Violated` where a URL, or one of a pair, cannot be read; no backend is made.

    Schemes of other packages are not checked.
    """
    scheme, urls = scheme_of(text), text.split()
    if _has_no_host(text):
        return
    for url in urls:
        if not scheme_of(url):
            raise refuse_url(scheme, "a space, or a text without a scheme", encode=True)
        if scheme_of(url) in EXAMPLES and scheme_of(url) not in _WITHOUT_HOST:
            for part in split_list(url):
                BackendUrl.parse(part)


_WITHOUT_HOST: Final = ("memory", "sqlite")


def _has_no_host(text: str) -> bool:
    """Return True for one URL of a file or of memory, in which a space and an `@` are no fault."""
    others = text.split()[1:]
    return scheme_of(text) in _WITHOUT_HOST and not any(map(scheme_of, others)) and "@" not in text


def hide_logins(text: str) -> str:
    """Replace the login in each URL of a text, such as the message of another library.

    >>> hide_logins("no route to postgresql://ann:se/cret@db/shop")
    'no route to postgresql://…@db/shop'
    """
    return _WORD.sub(_hide_login, text) if "@" in text else text


_WORD: Final = re.compile(r"[^\s'\"]+")


def _hide_login(word: re.Match[str]) -> str:
    # By hand: a pattern for the whole login takes quadratic time for a text of many schemes.
    scheme, slashes, rest = word[0].partition("://")
    _, at, host = rest.rpartition("@")
    return f"{scheme}://…@{host}" if slashes and at else word[0]


def refuse_url(scheme: str, got: str, *, encode: bool = False) -> Violated:
    """Return the error for a URL. *got* describes the fault, and quotes nothing of the URL.

    *encode*: the remedy is to encode characters.
    """
    example = EXAMPLES.get(scheme, f"{scheme or 'scheme'}://host")
    expected = f"an encoded URL such as {example} ({_ENCODE})" if encode else example
    issue = Issue("backend", expected, got)
    name = f"{scheme}: the URL cannot be read" if scheme else "the URL cannot be read"
    return Violated(ConfigViolation(name, issue))


def _check_host(scheme: str, text: str) -> None:
    match = _HOST.fullmatch(text)
    if match is None:
        # The text is not shown: it may be a part of a password.
        raise refuse_url(scheme, "a host or a port that is none", encode=True)
    host, port = match.groups()
    if port is not None and not 1 <= int(port) <= PORT_MAX:
        raise refuse_url(scheme, f"a port beyond 1 to {PORT_MAX}")
    if host.startswith("["):
        try:
            IPv6Address(host[1:-1])
        except ValueError:
            raise refuse_url(scheme, "an IPv6 address that is none") from None
