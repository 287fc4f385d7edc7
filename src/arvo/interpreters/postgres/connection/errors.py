"""Errors: the exceptions of Postgres and its driver, translated to the exceptions of the ports."""

from typing import Final

import asyncpg

from arvo.interpreters.delivery.backend_url import hide_logins
from arvo.interpreters.ports.errors import Corrupt, Unavailable

# SQLSTATE classes and codes for which waiting does not help: an operator has to change the URL, the
# rights, the tables or the disk.
_BROKEN: Final = ("28", "3D", "3F", "42", "XX001", "XX002", "0A")
# The server has closed the connection.
_DISCONNECTED: Final = ("08", "57P")
# Serialization failure, deadlock, lock timeout: the same transaction may succeed when it is run
# again.
_RETRYABLE: Final = frozenset({"40001", "40P01", "55P03"})

# The exceptions of the driver.
DRIVER_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


def translate_error(error: BaseException) -> Unavailable | Corrupt:
    """Return `Corrupt` where an operator has to act, `Unavailable` for any other error."""
    message = hide_logins(" ".join(str(error).split())) or type(error).__name__
    if isinstance(error, Unavailable | Corrupt):
        return error
    if isinstance(error, asyncpg.PostgresError) and _sqlstate(error).startswith(_BROKEN):
        remedy = "mend the URL, the rights or the tables (arvo upgrade --backend URL)"
        return Corrupt(f"Postgres refuses ({message}): {remedy}")
    return Unavailable(f"Postgres: {message}")


def is_rolled_back(error: BaseException) -> bool:
    """Return True if the transaction that raised this was certainly rolled back."""
    if isinstance(error, asyncpg.PostgresError):
        return not _sqlstate(error).startswith(_DISCONNECTED)
    # The driver could not encode a parameter, and has sent nothing.
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)


def is_retryable(error: BaseException) -> bool:
    """Return True if the same transaction may succeed when it is run again."""
    return isinstance(error, asyncpg.PostgresError) and _sqlstate(error) in _RETRYABLE


def _sqlstate(error: asyncpg.PostgresError) -> str:
    return getattr(error, "sqlstate", None) or ""
