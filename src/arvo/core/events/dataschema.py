"""Dataschema: the versions of contracts, and the `dataschema` attribute that names one."""

import re
from functools import lru_cache
from typing import Final, final

from attrs import frozen

from arvo.core.events.uri import CACHED_CHARACTERS_MAX

# Reserved for system errors, whose schema is the same in every version.
WILDCARD: Final = "0.0.0"

_SEMVER: Final = re.compile(r"\d{1,10}\.\d{1,10}\.\d{1,10}", re.ASCII)


def is_version(text: str) -> bool:
    """Return whether *text* is `major.minor.patch`.

    >>> is_version("1.0.0"), is_version("v1.0.0"), is_version("1.0")
    (True, False, False)
    """
    return _SEMVER.fullmatch(text) is not None


def version_key(version: str) -> tuple[int, ...]:
    """Return a sort key by number: 10.0.0 comes after 9.0.0.

    >>> sorted(["10.0.0", "9.0.0"], key=version_key)
    ['9.0.0', '10.0.0']
    """
    return tuple(map(int, version.split(".")))


@final
@frozen
class Dataschema:
    """The value of an event's `dataschema` attribute: `{contract uri}/{version}`.

    >>> Dataschema.parse("#/contracts/user/1.0.0")
    Dataschema(uri='#/contracts/user', version='1.0.0')
    >>> str(Dataschema("#/contracts/user", "1.0.0"))
    '#/contracts/user/1.0.0'
    """

    uri: str
    version: str

    @staticmethod
    def parse(text: str | None) -> "Dataschema | None":
        """Parse a dataschema; returns None where its last part is not a version.

        The uri may be empty (`1.0.0`), as the wire format allows; see `is_valid`.
        """
        is_short = text is None or len(text) <= CACHED_CHARACTERS_MAX
        return _parse_short(text) if is_short else _parse(text)

    @property
    def is_valid(self) -> bool:
        """Whether it names a contract; the TypeScript packages accept an empty uri."""
        return self.uri != ""

    def __str__(self) -> str:
        return f"{self.uri}/{self.version}"


def _parse(text: str | None) -> Dataschema | None:
    uri, _, version = (text or "").rpartition("/")
    return Dataschema(uri, version) if is_version(version) else None


_parse_short: Final = lru_cache(maxsize=4096)(_parse)
