"""Deployed: the shop as docs/deploy runs it: workers (`arvo run`) and an HTTP app (`uvicorn`)."""

import os
from typing import Final

from starlette.applications import Starlette

from arvo import Runtime, System
from arvo.http import asgi_app
from docs.examples.orders.systems import SYSTEMS

system: Final[System] = SYSTEMS["flow"]


def app() -> Starlette:
    """Return the ASGI app that accepts orders, on the backend that the workers share."""
    return asgi_app(Runtime(system, os.environ["ARVO_BACKEND"]))
