"""Problem: what went wrong, as `application/problem+json` (RFC 9457)."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.responses import Response

from arvo.core.payloads.frozen_json import EMPTY
from arvo.core.violations.issue import Issue, Issues
from arvo.core.violations.violation import TransactionViolation, Violation

logger: Final = logging.getLogger("arvo")
MEDIA_TYPE: Final = "application/problem+json"
# Whoever is told to come back does so then; longer than most outages of a store that restarts.
RETRY_AFTER_SECONDS: Final = 5
_BY_KIND: Final[Mapping[str, int]] = {
    "Contract": 400,  # the sender must act
    "Config": 404,  # nobody is there
    "Execution": 409,  # not with this workflow as it stands
}


def problem(
    status: int,
    detail: str,
    issues: Sequence[Issue] = (),
    headers: Mapping[str, str] = EMPTY,
) -> Response:
    """Answer that it cannot be: *detail* in words, *issues* for each field that is wrong."""
    content: dict[str, Any] = {
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if issues:
        content["issues"] = [
            {"field": issue.path, "expected": issue.expected, "got": issue.got}
            for issue in Issues.of(issues).items
        ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {"retry-after": str(RETRY_AFTER_SECONDS), **headers}
    return Response(orjson.dumps(content), status, headers, MEDIA_TYPE)


def broken(violation: Violation, status: int | None = None) -> Response:
    """Answer that a promise is broken; without a *status*, the one of its kind."""
    if isinstance(violation, TransactionViolation):
        return unavailable(violation)
    return problem(status or _BY_KIND[violation.kind], violation.message, violation.issues)


def unavailable(error: object) -> Response:
    """Answer that it is to be tried again; why is told to the log, for it may name hosts and files
    that are nothing for strangers.
    """
    logger.warning("an event could not be taken over HTTP: %s", error)
    return problem(503, "the backend cannot be reached now, or has no room")
