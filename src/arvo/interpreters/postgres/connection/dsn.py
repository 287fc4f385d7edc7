"""Address: which database, which schema in it, and how it is spoken to."""

import re
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from attrs import field, frozen

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated

if TYPE_CHECKING:
    from asyncpg import Connection, Record
    from asyncpg.pool import PoolConnectionProxy

# A connection, of the pool or by itself.
Link: TypeAlias = "Connection[Record] | PoolConnectionProxy[Record]"
SCHEMA: Final = "arvo"
# Names that need no quotes, and that leave room for a few letters before them: Postgres' own names
# have 63 bytes at most.
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,49}")
_TRUTH: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def _is_name(_: "Address", __: Any, schema: str) -> None:
    if not _NAME.fullmatch(schema) or schema.startswith("pg_"):
        expected = "a name of small letters, digits and _, 50 at most, not beginning with pg_"
        issue = Issue("schema", expected, repr(schema))
        raise Violated(ConfigViolation("the schema cannot have this name", issue))


@final
@frozen
class Address:
    """One schema of one database.

    *url*: as asyncpg and libpq read it. *schema*: what everything of ours lies in. *pooler*:
    whether a proxy stands between that gives each transaction another connection, such as PgBouncer
    in its transaction mode: nothing is prepared then, nor listened to. *migrate*: whether tables
    are made and upgraded by whoever opens them.
    """

    url: str = field(repr=False)
    schema: str = field(default=SCHEMA, validator=_is_name)
    pooler: bool = False
    migrate: bool = True

    @staticmethod
    def parse(url: str) -> "Address":
        """Read a URL whose query may hold `schema`, `pooler` and `migrate` beside libpq's own.

        >>> address = Address.parse("postgresql://db/shop?schema=orders&migrate=no&sslmode=require")
        >>> address.url, address.schema, address.migrate
        ('postgresql://db/shop?sslmode=require', 'orders', False)
        """
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        ours: dict[str, Any] = {}
        if "schema" in query:
            ours["schema"] = query.pop("schema")
        for name in ("pooler", "migrate"):
            if name in query:
                ours[name] = _truth(name, query.pop(name))
        return Address(urlunsplit(parts._replace(query=urlencode(query))), **ours)

    @property
    def sql(self) -> Callable[[str], str]:
        """Write a statement for this schema: in the source, each table is `arvo.something`."""
        return _writer(self.schema)

    def hash(self, text: str) -> int:
        """Give 64 bits for a text; in another schema, others. Two texts may share them."""
        found = blake2b(
            text.encode(errors="surrogatepass"), digest_size=8, key=self.schema.encode()
        )
        return int.from_bytes(found.digest(), "big", signed=True)


@lru_cache(maxsize=64)
def _writer(schema: str) -> Callable[[str], str]:
    @lru_cache(maxsize=256)
    def write(statement: str) -> str:
        # A checked name, so that nothing else can get into a statement.
        return statement.replace("arvo.", f"{schema}.")

    return write


def _truth(name: str, said: str) -> bool:
    if said not in _TRUTH:
        issue = Issue(f"backend.{name}", "yes or no", repr(said))
        raise Violated(ConfigViolation("the URL's query is not understood", issue))
    return _TRUTH[said]
