"""Http: events over HTTP, in and out. Needs the extra `arvo[http]`."""

try:
    from arvo.interpreters.http.app import asgi_app
    from arvo.interpreters.http.webhook import Webhook
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("httpx", "starlette"):
        raise
    said = "arvo.http needs an extra: pip install 'arvo[http]'"
    raise ModuleNotFoundError(said, name=error.name) from error

__all__ = ["Webhook", "asgi_app"]
