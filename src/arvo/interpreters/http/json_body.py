"""JSON body: reads the body of a client without this library, and says what is wrong with it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, overload

from starlette.requests import Request
from starlette.responses import Response

from arvo.core.events.json_text import parse_json
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ContractViolation, ExecutionViolation, Violated
from arvo.interpreters.http.binding import content_type
from arvo.interpreters.http.problem import problem

JSON: Final = "application/json"
_JSON: Final = re.compile(r"application/json\s*(;|$)", re.IGNORECASE)


def refuse_other_type(request: Request) -> Response | None:
    """Return the refusal of a request whose content type is not JSON.

    A page of another site may post any other type in the name of the user who reads it.
    """
    text = content_type(request.headers.raw)
    if _JSON.match(text):
        return None
    issue = Issue("Content-Type", "application/json", short_repr(text))
    return problem(415, "this content type is not supported", (issue,), {"accept": JSON})


def parse_body(body: bytes, names: Sequence[str]) -> dict[str, Any]:
    """Parse a JSON object that has only these names; raises `Violated`."""
    content: object = parse_json(body, "body") if body else {}
    issues: Issues | Issue | tuple[Issue, ...] = ()
    if isinstance(content, Issues):
        issues = content
    elif not isinstance(content, dict):
        issues = Issue("body", "a JSON object with `data`", short_repr(content))
    else:
        # A `workflowId` that is ignored would begin a second workflow.
        expected = f"only {', '.join(names)}"
        issues = tuple(Issue("body", expected, short_repr(it)) for it in content.keys() - {*names})
    if isinstance(content, dict) and not issues:
        return content
    raise Violated(ContractViolation("the body cannot be read", issues))


@overload
def read_text(content: Mapping[str, Any], name: str, default: str) -> str: ...
@overload
def read_text(content: Mapping[str, Any], name: str, default: str | None = None) -> str | None: ...
def read_text(content: Mapping[str, Any], name: str, default: str | None = None) -> str | None:
    """Return the text by *name*, or *default* where there is none; raises `Violated`."""
    value = content.get(name)
    if value is None:
        return default
    if isinstance(value, str) and value:
        return value
    issue = Issue(name, "a string that is not empty", short_repr(value))
    raise Violated(ContractViolation("the request cannot be read", issue))


@contextmanager
def faults_of_client() -> Iterator[None]:
    """Let an id or a source that no event may have be a 400: it conflicts with no workflow."""
    try:
        yield
    except Violated as violated:
        violation = violated.violation
        if not isinstance(violation, ExecutionViolation):
            raise
        raise Violated(ContractViolation(violation.message, violation.issues)) from None
