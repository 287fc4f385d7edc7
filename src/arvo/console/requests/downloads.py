"""Downloads: answers that a browser stores as files."""

import orjson
from starlette.responses import Response

from arvo.console.requests.visit import Visit


def download_json(name: str, content: object, visit: Visit) -> Response:
    """Return JSON data as a file, without the secrets that the visit has met."""
    text = orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()
    return Response(visit.redaction.scrub(text), 200, attachment(name), "application/json")


def attachment(name: str) -> dict[str, str]:
    """Return the headers of a file to store."""
    return {"content-disposition": f'attachment; filename="{name}"'}
