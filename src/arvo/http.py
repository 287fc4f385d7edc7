"""HTTP: events over HTTP, in and out. Needs the extra `http`."""

from arvo.extras import needs_extra

with needs_extra("arvo.http"):
    from arvo.interpreters.http.app import asgi_app
    from arvo.interpreters.http.webhook import Webhook

__all__ = ["Webhook", "asgi_app"]
