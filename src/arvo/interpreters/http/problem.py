"""Problem: error responses as `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.responses import Response

from arvo.core.payloads.frozen_json import EMPTY
from arvo.core.violations.issue import Issue, Issues
from arvo.core.violations.violation import (
    ConfigViolation,
    ContractViolation,
    TransactionViolation,
    Violated,
    Violation,
)
from arvo.interpreters.delivery.log import fields, get_logger
from arvo.printable import printable

logger: Final = get_logger("http")
# The detail may quote the message of a handler, which may be as long as an event.
DETAIL_CHARACTERS_MAX: Final = 2_000
MEDIA_TYPE: Final = "application/problem+json"
# Longer than most outages of a store that restarts.
RETRY_AFTER_SECONDS: Final = 5
_BY_KIND: Final[Mapping[str, int]] = {
    "Contract": 400,  # the sender must act
    "Config": 404,  # there is no such handler
    "Execution": 409,  # not in the current state of the workflow
}


def problem(
    status: int,
    detail: str,
    issues: Sequence[Issue] = (),
    headers: Mapping[str, str] = EMPTY,
) -> Response:
    """Make an error response. *detail* is a text, *issues* name the fields that are wrong.

    Both may quote the request, and clients print them: they hold no control character.
    """
    content: dict[str, Any] = {
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": printable(detail, DETAIL_CHARACTERS_MAX),
    }
    if issues:
        content["issues"] = [
            {
                "field": printable(issue.path),
                "expected": printable(issue.expected),
                "got": printable(issue.got),
            }
            for issue in Issues.of(issues).items
        ]
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        headers = {"retry-after": str(RETRY_AFTER_SECONDS), **headers}
    return Response(orjson.dumps(content), status, headers, MEDIA_TYPE)


def violation_problem(violation: Violation, status: int | None = None) -> Response:
    """Make the response for a violation; without a *status*, with the status of its kind."""
    if isinstance(violation, TransactionViolation):
        return unavailable_problem(violation)
    return problem(status or _BY_KIND[violation.kind], violation.message, violation.issues)


def answer_problem(violated: Violated) -> Response:
    """Make the response for an accepted event whose handler broke a promise.

    The event fits its contract and its address, so the fault is not the client's. Only the log has
    the reason. A workflow that is in another state than the client thinks remains a 409.
    """
    violation = violated.violation
    if not isinstance(violation, ContractViolation | ConfigViolation):
        return violation_problem(violation)
    logger.warning("the answer to a request failed", extra=fields(reason=violated))
    return problem(500, "the event was accepted, but its handler failed, see the log of the server")


def too_many(violation: Violation) -> Response:
    """Make the response for an event that exceeds a limit of its sender."""
    return violation_problem(violation, HTTPStatus.TOO_MANY_REQUESTS)


def unavailable_problem(error: object) -> Response:
    """Log an error, and make the response that asks the client to try again.

    Only the log has the reason, because it may name hosts and files that a client must not see.
    """
    logger.warning("a request failed", extra=fields(reason=error))
    return problem(503, "the backend is unavailable or full, try again later")
