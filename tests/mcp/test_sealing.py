"""Sealing: nobody uses the id of another caller, and nobody makes one."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.shared.exceptions import MCPError

from arvo.mcp.sealing import Seal, security_of

KEYS = ("k" * 32, "l" * 32)
SUBJECT = "a subject"


@contextmanager
def caller(client: str | None) -> Iterator[None]:
    """Authenticate a client for the calls in the block."""
    user = None
    if client is not None:
        user = AuthenticatedUser(AccessToken(token=client, client_id=client, scopes=[]))
    token = auth_context_var.set(user)
    try:
        yield
    finally:
        auth_context_var.reset(token)


def seal_of(*keys: str) -> Seal:
    return Seal(security_of(keys).codec)


# The principal of a request is in a context variable; nothing else of the request counts.
REQUEST = None


@pytest.mark.parametrize("client", [None, "ann"])
def test_its_caller_opens_an_id_in_any_process(client: str | None) -> None:
    with caller(client):
        id_ = seal_of(KEYS[0]).seal(REQUEST, SUBJECT)  # type: ignore[arg-type]

        assert seal_of(KEYS[0]).open(REQUEST, id_) == SUBJECT  # type: ignore[arg-type]
        # While keys are replaced.
        assert seal_of(KEYS[1], KEYS[0]).open(REQUEST, id_) == SUBJECT  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sealer", "opener"), [("ann", "bob"), ("ann", None), (None, "ann")], ids=str
)
def test_another_caller_does_not(sealer: str | None, opener: str | None) -> None:
    with caller(sealer):
        id_ = seal_of(*KEYS).seal(REQUEST, SUBJECT)  # type: ignore[arg-type]

    with caller(opener), pytest.raises(MCPError, match="no workflow has this id"):
        seal_of(*KEYS).open(REQUEST, id_)  # type: ignore[arg-type]


def test_without_keys_only_this_process_opens() -> None:
    seal = seal_of()
    id_ = seal.seal(REQUEST, SUBJECT)  # type: ignore[arg-type]

    assert seal.open(REQUEST, id_) == SUBJECT  # type: ignore[arg-type]
    with pytest.raises(MCPError):
        seal_of().open(REQUEST, id_)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"", b"1", b"[]", b'["state", null, "a"]', b"{", b"[1,2,3]"])
def test_what_was_sealed_for_another_purpose_is_no_id(content: bytes) -> None:
    """The state of a request is sealed by the same keys."""
    seal = seal_of(*KEYS)

    with pytest.raises(MCPError):
        seal.open(REQUEST, seal.codec.seal(content))  # type: ignore[arg-type]
