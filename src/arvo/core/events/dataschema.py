"""Version: semantic versions of contracts, and the dataschema that names one."""

import re
from typing import Final, final

from attrs import frozen

# Reserved: the schema of system errors, which is the same in every version (reference F038, F048).
WILDCARD: Final = "0.0.0"

_SEMVER: Final = re.compile(r"\d{1,10}\.\d{1,10}\.\d{1,10}", re.ASCII)


def is_version(text: str) -> bool:
    """Tell whether *text* is `major.minor.patch` (reference F036).

    >>> is_version("1.0.0"), is_version("v1.0.0"), is_version("1.0")
    (True, False, False)
    """
    return _SEMVER.fullmatch(text) is not None


def version_key(version: str) -> tuple[int, ...]:
    """Order versions by number: 10.0.0 comes after 9.0.0 (reference F037).

    >>> sorted(["10.0.0", "9.0.0"], key=version_key)
    ['9.0.0', '10.0.0']
    """
    return tuple(map(int, version.split(".")))


@final
@frozen
class Dataschema:
    """What an event's `dataschema` says: `{contract uri}/{version}` (reference F039).

    >>> Dataschema.parse("#/contracts/user/1.0.0")
    Dataschema(uri='#/contracts/user', version='1.0.0')
    >>> str(Dataschema("#/contracts/user", "1.0.0"))
    '#/contracts/user/1.0.0'
    """

    uri: str
    version: str

    @classmethod
    def parse(cls, text: str | None) -> "Dataschema | None":
        """Read a dataschema; None where its last part is no version.

        The uri may come out empty (`1.0.0`), as the wire allows it; see `is_valid`.
        """
        uri, _, version = (text or "").rpartition("/")
        return cls(uri, version) if is_version(version) else None

    @property
    def is_valid(self) -> bool:
        """Tell whether a contract is named at all: the reference takes an empty uri too (B25)."""
        return self.uri != ""

    def __str__(self) -> str:
        return f"{self.uri}/{self.version}"
