"""Security: the headers of every response, and proof that a form was sent from the console."""

import hmac
import secrets
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE: Final = "arvo_console"
TOKEN_BYTES: Final = 32
# An event has 1 MiB at most, and a form writes some characters of it as three.
FORM_BYTES_MAX: Final = 4 * 1024 * 1024

# No script and no style stands in a page, so none can be put into one.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class SecurityHeaders:
    """Puts `HEADERS` on each response that has none of its own; pages are not cached."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message["headers"]}
                wanted = {"cache-control": "no-store", **HEADERS}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.encode(), value.encode())
                        for name, value in wanted.items()
                        if name.encode() not in names
                    ),
                ]
            await send(message)

        await self._app(scope, receive, send_with_headers)


class OnlyHosts:
    """Refuses requests for another host than this machine.

    A page of another site can give its own name this machine's address, and read the console as if
    it were its own (DNS rebinding).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and not is_own_host(Headers(scope=scope).get("host", "")):
            response = Response("this console is for this machine alone", 403, HEADERS)
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)


def is_own_host(host: str) -> bool:
    """Return whether a `Host` header names this machine.

    >>> is_own_host("localhost:8300"), is_own_host("[::1]:8300"), is_own_host("evil.example")
    (True, True, False)
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def make_token() -> str:
    """Make the value of a new session's cookie, which its forms repeat."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def find_forgery(request: Request, token: str) -> str | None:
    """Return why a form was not sent from a page of this console; None if it was.

    A browser says which site a request comes from (Fetch Metadata; `Origin`, RFC 6454), and the
    form repeats the token of the cookie, which no other site can read.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return "the form was sent from another site"
    origin = request.headers.get("origin")
    is_own = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    # From a browser without Fetch Metadata; a proxy must pass the host on.
    if site is None and not is_own:
        return "the form was sent from another site"
    cookie = request.cookies.get(COOKIE, "")
    if not cookie or not hmac.compare_digest(cookie.encode(), token.encode()):
        return "the form has expired: open the page again"
    return None
