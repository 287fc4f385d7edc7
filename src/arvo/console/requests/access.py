"""Access: who looks at the console, and what the application lets that person do."""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Final, Literal, TypeAlias, final

from attrs import define, field
from starlette.requests import Request

from arvo.core.record import Record

Verb: TypeAlias = Literal[
    "see", "see_data", "send", "cancel", "revive", "migrate", "retry", "drop", "fork"
]
# Decides whether a user may do something: `allow(user, verb, record)`, plain or async. *user*: the
# name that the source of users gives, or None. *verb*: "see" a workflow, "see_data" of its events
# and state, "retry" and "drop" a dead letter. *record*: that of the workflow, None for the rest.
# Only True allows.
Allow: TypeAlias = Callable[[str | None, Verb, Record | None], bool | Awaitable[bool]]
# Returns the name of the user who sent a request, or None for one that is not known.
UserSource: TypeAlias = Callable[[Request], str | None]

READING: Final[tuple[Verb, ...]] = ("see", "see_data")
ACTING: Final[tuple[Verb, ...]] = (
    "send",
    "cancel",
    "revive",
    "migrate",
    "retry",
    "drop",
    "fork",
)
# The header by which a proxy that has authenticated a user names them.
PROXY_HEADER: Final = "x-forwarded-user"


def read_only(user: str | None, verb: Verb, record: Record | None) -> bool:  # noqa: ARG001 - `Allow`
    """Allow every user to look, and none to act."""
    return verb in READING


def act(user: str | None, verb: Verb, record: Record | None) -> bool:  # noqa: ARG001 - `Allow`
    """Allow every user everything."""
    return True


def proxy_user(request: Request) -> str | None:
    """Return the user that a trusted proxy names, in `X-Forwarded-User`.

    >>> proxy_user(Request({"type": "http", "headers": [(b"x-forwarded-user", b"ann")]}))
    'ann'
    """
    return request.headers.get(PROXY_HEADER) or None


def scope_user(request: Request) -> str | None:
    """Return the user of Starlette's `AuthenticationMiddleware`, if the application has one."""
    user = request.scope.get("user")
    if user is None or not getattr(user, "is_authenticated", False):
        return None
    return str(getattr(user, "display_name", "") or user)


@final
@define(eq=False)
class Reader:
    """The user of one request, and what they may do; the application is asked once for each."""

    user: str | None
    allow: Allow
    _known: dict[tuple[Verb, str], bool] = field(factory=dict, init=False)

    async def may(self, verb: Verb, record: Record | None = None) -> bool:
        """Return whether this user may do *verb*, with the workflow of *record*."""
        key = (verb, "" if record is None else record.subject)
        if key not in self._known:
            allowed = self.allow(self.user, verb, record)
            if isawaitable(allowed):
                allowed = await allowed
            # A function without `return` must not open the door.
            self._known[key] = allowed is True
        return self._known[key]

    async def verbs(self, record: Record | None = None) -> frozenset[Verb]:
        """Return all that this user may do, with the workflow of *record*."""
        return frozenset([verb for verb in (*READING, *ACTING) if await self.may(verb, record)])
