"""Told: what Postgres and its driver raise, said in the words of our ports."""

from typing import Final

import asyncpg

from arvo.interpreters.ports.backend import Corrupt, Unavailable

# SQLSTATE classes and codes that no waiting mends: somebody has to change the URL, the rights, the
# tables or the disk.
_BROKEN: Final = ("28", "3D", "3F", "42", "XX001", "XX002", "0A")
# Those in which the server says goodbye, so that the connection is gone.
_GONE: Final = ("08", "57P")
# Another transaction was in the way: the same again may well be done.
_IN_THE_WAY: Final = frozenset({"40001", "40P01", "55P03"})

# What a driver's call may raise.
RAISED: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


def told(error: BaseException) -> Unavailable | Corrupt:
    """Say an error in our words: wait, or call a person."""
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, Unavailable | Corrupt):
        return error
    if isinstance(error, asyncpg.PostgresError) and _state(error).startswith(_BROKEN):
        remedy = "mend the URL, the rights or the tables (arvo upgrade --backend URL)"
        return Corrupt(f"Postgres refuses ({said}): {remedy}")
    return Unavailable(f"Postgres: {said}")


def is_sure(error: BaseException) -> bool:
    """Tell whether a transaction that raised this was surely undone."""
    if isinstance(error, asyncpg.PostgresError):
        return not _state(error).startswith(_GONE)
    # The driver could not write a value down, and has sent nothing.
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)


def is_in_the_way(error: BaseException) -> bool:
    """Tell whether the same transaction, once more, may be done."""
    return isinstance(error, asyncpg.PostgresError) and _state(error) in _IN_THE_WAY


def _state(error: asyncpg.PostgresError) -> str:
    return getattr(error, "sqlstate", None) or ""
