"""DSN: the URL of a Postgres backend, read as a database, a schema in it, and options."""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final
from urllib.parse import urlencode

from attrs import field, frozen

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.delivery.backend_url import BackendUrl
from arvo.interpreters.delivery.retention import RETENTION_OPTIONS, Retention
from arvo.interpreters.delivery.url_options import (
    COUNT,
    SECONDS,
    TEXT,
    YES_OR_NO,
    refuse_option,
    take_options,
)

if TYPE_CHECKING:
    from asyncpg import Connection as DriverConnection
    from asyncpg import Record
    from asyncpg.pool import PoolConnectionProxy

# A connection of a pool, or a single one.
Connection: TypeAlias = "DriverConnection[Record] | PoolConnectionProxy[Record]"
SCHEMA: Final = "arvo"
# Names that need no quotes. Postgres cuts names after 63 bytes, and the name of a notification
# channel has a prefix.
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,49}")
_OPTIONS: Final = {
    "lease": SECONDS,
    "migrate": YES_OR_NO,
    "pooler": YES_OR_NO,
    "queue_max": COUNT,
    "schema": TEXT,
    **RETENTION_OPTIONS,
}

# Parameters of libpq that the driver reads; the server gets any other name as a setting.
_LIBPQ: Final = frozenset(
    {"application_name", "database", "dbname", "direct_tls", "gsslib", "host", "krbsrvname"}
    | {"options", "passfile", "password", "port", "service", "servicefile", "sslcert", "sslcrl"}
    | {"sslkey", "sslmode", "sslnegotiation", "sslpassword", "sslrootcert", "user"}
    | {"ssl_max_protocol_version", "ssl_min_protocol_version", "target_session_attrs"}
)
_PORTS: Final = re.compile(r"[0-9]{1,5}(,[0-9]{1,5})*", re.ASCII)
_HOSTS: Final = re.compile(r"[^,:]+(:[0-9]{1,5})?(,[^,:]+(:[0-9]{1,5})?)*", re.ASCII)


def _check_option(name: str, text: str) -> None:
    """Refuse hosts and ports that the driver would refuse with a bare ValueError."""
    if name == "port" and not _PORTS.fullmatch(text):
        raise refuse_option(name, "a number, or several with commas", "something else")
    if name == "host" and not _HOSTS.fullmatch(text):
        raise refuse_option(name, "a host or a folder, or several with commas", "something else")


def _check_name(_: "Dsn", __: Any, schema: str) -> None:
    if not _NAME.fullmatch(schema) or schema.startswith("pg_"):
        expected = "a name of small letters, digits and _, 50 at most, not beginning with pg_"
        issue = Issue("schema", expected, repr(schema))
        raise Violated(ConfigViolation("the schema cannot have this name", issue))


@final
@frozen
class Dsn:
    """One schema of one database.

    *url*: in the form of libpq, for the driver. *schema*: contains all tables. *pooler*: True if a
    proxy such as PgBouncer in transaction mode gives each transaction another connection; then no
    statement is prepared and no channel is listened to. *migrate*: False if the tables must exist
    already. *lease* and *queue_max*: see `PostgresBackend`; *dead_letters_days* and
    *dead_letters_max*: see `Retention`. None if the URL does not set them. *codec*: encodes what
    the tables hold; no URL sets it.
    """

    url: str = field(repr=False)
    schema: str = field(default=SCHEMA, validator=_check_name)
    pooler: bool = False
    migrate: bool = True
    lease: float | None = None
    queue_max: int | None = None
    dead_letters_days: timedelta | None = None
    dead_letters_max: int | None = None
    codec: Codec | None = field(default=None, repr=False)

    @staticmethod
    def parse(url: str) -> "Dsn":
        """Read a URL whose query may hold the options of this class and those of libpq.

        Raises `Violated` for a bad value. An option that is unknown here goes to the server, which
        refuses it if it is no setting of its own.

        >>> dsn = Dsn.parse("postgresql://db/shop?schema=orders&migrate=no&sslmode=require")
        >>> dsn.url, dsn.schema, dsn.migrate
        ('postgresql://db/shop?sslmode=require', 'orders', False)
        """
        parts = BackendUrl.parse(url)
        options, others = take_options(parts.query, _OPTIONS, _LIBPQ, any_other=True)
        for name, text in others:
            _check_option(name, text)
        return Dsn(str(parts.with_query(urlencode(others))), **options)

    def limit(self, retention: Retention) -> Retention:
        """Return *retention* with the values that the URL sets."""
        options = {"days": self.dead_letters_days, "max": self.dead_letters_max}
        return retention.with_options(
            {f"dead_letters_{name}": value for name, value in options.items() if value is not None}
        )

    @property
    def sql(self) -> Callable[[str], str]:
        """The function that makes a statement for this schema: it replaces the prefix `arvo.`."""
        return _qualifier(self.schema)

    @property
    def channel(self) -> str:
        """The name of the channel that workers listen to."""
        return f"arvo_{self.schema}"

    def hash(self, text: str) -> int:
        """Return 64 bits for a text, other ones in another schema. Two texts may share them."""
        digest = blake2b(
            text.encode(errors="surrogatepass"), digest_size=8, key=self.schema.encode()
        )
        return int.from_bytes(digest.digest(), "big", signed=True)


@lru_cache(maxsize=64)
def _qualifier(schema: str) -> Callable[[str], str]:
    @lru_cache(maxsize=256)
    def qualify(statement: str) -> str:
        # The name was checked, so nothing else can get into a statement.
        return statement.replace("arvo.", f"{schema}.")

    return qualify
