"""Http: events over HTTP, in and out. Needs the extra `arvo[http]`."""

from arvo.interpreters.http.edge import edge
from arvo.interpreters.http.webhook import Webhook

__all__ = ["Webhook", "edge"]
