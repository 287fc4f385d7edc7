"""Compatible: whether a contract may replace another without breaking those who rely on it."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias, final

from attrs import frozen

from arvo.core.contracts.contract import Contract
from arvo.core.contracts.versioned import VersionedContract
from arvo.testing.compatibility.subschema import Gap, gaps

# A contract, one version of it, or what `json_schema` exported of either.
Promise: TypeAlias = Contract[Any] | VersionedContract[Any] | Mapping[str, Any]
Side: TypeAlias = Literal["consumer", "producer"]


@final
@frozen
class BreakingChange:
    """One change that breaks somebody: where in the contract, what it was, and what it is now."""

    path: str
    was: str
    now: str
    why: str

    def __str__(self) -> str:
        return f"{self.path}: was {self.was}, now {self.now}: {self.why}"


@final
@frozen(repr=False)
class Compatibility:
    """Whether a change breaks anybody: true where it does not. *breaks* names each that does."""

    side: Side
    breaks: tuple[BreakingChange, ...]

    def __bool__(self) -> bool:
        return not self.breaks

    def __str__(self) -> str:
        if not self.breaks:
            return f"no {self.side} breaks"
        return "\n".join([f"this breaks {self.side}s:", *(f"  {each}" for each in self.breaks)])

    # What pytest shows of `assert compatible(old, new)`.
    __repr__ = __str__


def compatible(old: Promise, new: Promise, *, side: Side = "consumer") -> Compatibility:
    """Say whether *new* may replace *old* for one side of the contract.

    A *consumer* asks by it: it sends what the contract accepts and takes what it emits. All that it
    sends must still be accepted, and it must know all that can come back. A *producer* answers by
    it, and must take all that may come by the new contract, and answer only what that allows.
    Versions of two contracts are compared each with its own; two single versions with each other.
    """
    if side == "consumer":
        return Compatibility(side, tuple(_breaks(_versions(old), _versions(new))))
    # For whoever answers by the old contract, the new one is what it used to be, and all is turned.
    found = _breaks(_versions(new), _versions(old), turned=True)
    return Compatibility(side, tuple(found))


@final
@frozen
class _Version:
    """One version, as plain data."""

    number: str
    uri: str | None
    type: str
    domain: str | None
    accepts: Mapping[str, Any]
    emits: Mapping[str, Mapping[str, Any]]


def _versions(promise: Promise) -> dict[str, _Version]:
    said: Mapping[str, Any] = promise if isinstance(promise, Mapping) else promise.json_schema()
    uri = said.get("uri") if isinstance(promise, Mapping) else promise.uri
    listed = said.get("versions")
    made = [_version(each, uri) for each in ([said] if listed is None else listed)]
    # A version alone is compared with another one alone, whatever their numbers.
    return {each.number if listed is not None else "": each for each in made}


def _version(said: Mapping[str, Any], uri: str | None) -> _Version:
    return _Version(
        number=said["version"],
        uri=uri,
        type=said["accepts"]["type"],
        domain=said.get("domain"),
        accepts=said["accepts"]["schema"],
        emits={each["type"]: each["schema"] for each in said["emits"]},
    )


def _breaks(
    sent: Mapping[str, _Version], taken: Mapping[str, _Version], *, turned: bool = False
) -> Iterator[BreakingChange]:
    """Compare what is *sent* by one promise with what is *taken* by the other."""
    for number, one in sent.items():
        other = taken.get(number)
        path = f"versions.{number}" if number else f"version {one.number}"
        if other is None:
            why = "nobody answers it any more" if not turned else "the handler has no such version"
            yield _change(path, "a version", "nothing", why, turned=turned)
            continue
        yield from _terms(path, one, other, turned=turned)
        for gap in gaps(one.accepts, other.accepts, f"{path}.accepts"):
            yield _gap(gap, "what is sent is refused", turned=turned)
        for name, schema in other.emits.items():
            if name not in one.emits:
                why = "whoever asks does not know this answer"
                yield _change(f"{path}.emits.{name}", "nothing", "an event", why, turned=turned)
                continue
            for gap in gaps(schema, one.emits[name], f"{path}.emits.{name}"):
                # What may come now was not promised then.
                yield _change(
                    gap.path, gap.taken, gap.allowed, "this answer is not expected", turned=turned
                )


def _terms(path: str, one: _Version, other: _Version, *, turned: bool) -> Iterator[BreakingChange]:
    for term, why in (
        ("uri", "its events are not known by their dataschema"),
        ("type", "events go to another address"),
        ("domain", "events leave by another domain"),
    ):
        was, now = getattr(one, term), getattr(other, term)
        if was != now and (term != "uri" or (was and now)):
            yield _change(f"{path}.{term}", repr(was), repr(now), why, turned=turned)


def _gap(gap: Gap, why: str, *, turned: bool) -> BreakingChange:
    return _change(gap.path, gap.allowed, gap.taken, why, turned=turned)


def _change(path: str, was: str, now: str, why: str, *, turned: bool) -> BreakingChange:
    return BreakingChange(path, now, was, why) if turned else BreakingChange(path, was, now, why)
