"""Sealing: the ids of workflows that clients hold, which nobody else can use or make."""

from typing import Any, Final, final

import orjson
from attrs import define
from mcp.server.context import ServerRequestContext
from mcp.server.request_state import (
    InvalidRequestState,
    RequestStateCodec,
    RequestStateSecurity,
    authenticated_principal,
)
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated

Context = ServerRequestContext[Any, Any]

# A person may take so long to answer.
STATE_SECONDS: Final = 30 * 24 * 3600.0
KEY_BYTES_MIN: Final = 32
# Names the purpose: the state of a request is sealed with the same keys.
_KIND: Final = "workflow"


def security_of(keys: tuple[str, ...]) -> RequestStateSecurity:
    """Return how the states of requests are sealed; without *keys* by one of this process.

    The first key seals, each one opens: see `RequestStateSecurity` of the MCP SDK.
    """
    short = [len(key.encode()) for key in keys if len(key.encode()) < KEY_BYTES_MIN]
    if short or len(set(keys)) != len(keys):
        got = f"one of {short[0]} bytes" if short else "the same one twice"
        issue = Issue("keys", f"different secrets of at least {KEY_BYTES_MIN} bytes", got)
        raise Violated(ConfigViolation("these keys seal nothing", issue))
    if not keys:
        return RequestStateSecurity.ephemeral(ttl=STATE_SECONDS)
    return RequestStateSecurity(keys=keys, ttl=STATE_SECONDS)


@final
@define(eq=False)
class Seal:
    """Seals the subjects of workflows for the caller that began them."""

    codec: RequestStateCodec

    def seal(self, context: Context, subject: str) -> str:
        """Return the id of a workflow for the caller of a request."""
        content = orjson.dumps([_KIND, authenticated_principal(context), subject])
        return self.codec.seal(content)

    def open(self, context: Context, token: str) -> str:
        """Return the subject; raises `MCPError` for an id that this caller did not get."""
        try:
            kind, principal, subject = orjson.loads(self.codec.unseal(token))
        except (InvalidRequestState, ValueError, TypeError):
            kind, principal, subject = None, None, ""
        if kind != _KIND or principal != authenticated_principal(context):
            text = "no workflow has this id: pass the id that the call has returned to you"
            raise MCPError(code=INVALID_PARAMS, message=text)
        return str(subject)
