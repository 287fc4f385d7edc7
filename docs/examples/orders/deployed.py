"""Deployed: the shop as docs/deploy runs it, the work (`arvo run`) and a door to it (`uvicorn`)."""

import os
from typing import Final

from starlette.applications import Starlette

from arvo import Runtime, System
from arvo.http import asgi_app
from docs.examples.orders.systems import SYSTEMS

system: Final[System] = SYSTEMS["flow"]


def app() -> Starlette:
    """Make the app that takes orders; it works on the backend that the workers share."""
    return asgi_app(Runtime(system, os.environ["ARVO_BACKEND"]))
