"""Compatible: decide whether a contract may replace another without breaking one of its sides."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias, final

from attrs import frozen

from arvo.core.contracts.contract import Contract
from arvo.core.contracts.versioned import VersionedContract
from arvo.testing.compatibility.subschema import gaps

# A contract, one version of it, or the JSON that `json_schema` exports of either.
ContractLike: TypeAlias = Contract[Any] | VersionedContract[Any] | Mapping[str, Any]
Side: TypeAlias = Literal["consumer", "producer"]


@final
@frozen
class BreakingChange:
    """One breaking change: its path in the contract, both versions of the value, and the reason."""

    path: str
    before: str
    after: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: was {self.before}, now {self.after}: {self.reason}"


@final
@frozen(repr=False)
class Compatibility:
    """The changes that break one side of a contract; true if there are none."""

    side: Side
    breaking_changes: tuple[BreakingChange, ...]

    def __bool__(self) -> bool:
        return not self.breaking_changes

    def __str__(self) -> str:
        if not self.breaking_changes:
            return f"no change breaks {self.side}s"
        changes = [f"  {change}" for change in self.breaking_changes]
        return "\n".join([f"these changes break {self.side}s:", *changes])

    # pytest shows it for `assert compatible(old, new)`.
    __repr__ = __str__


def compatible(old: ContractLike, new: ContractLike, *, side: Side = "consumer") -> Compatibility:
    """Return the changes from *old* to *new* that break one side of the contract.

    A *consumer* sends what the contract accepts and receives what it emits. *new* must accept every
    event that a consumer of *old* sends, and may emit only events that this consumer knows.
    A *producer* handles what the contract accepts and emits its replies. A producer of *old* must
    be able to handle every event that *new* accepts, and may emit only events that *new* names.

    Contracts are compared version by version; a single version is compared with a single version.
    """
    if side == "consumer":
        changes = _find_breaking_changes(_read_versions(old), _read_versions(new))
    else:
        # A producer of the old contract must serve consumers of the new one, so the comparison is
        # the same with the contracts swapped.
        changes = _find_breaking_changes(_read_versions(new), _read_versions(old), swapped=True)
    return Compatibility(side, tuple(changes))


@final
@frozen
class _Version:
    """One version of a contract as JSON data."""

    number: str
    uri: str | None
    type: str
    domain: str | None
    accepts: Mapping[str, Any]
    emits: Mapping[str, Mapping[str, Any]]


def _read_versions(contract: ContractLike) -> dict[str, _Version]:
    exported: Mapping[str, Any] = (
        contract if isinstance(contract, Mapping) else contract.json_schema()
    )
    uri = exported.get("uri") if isinstance(contract, Mapping) else contract.uri
    listed = exported.get("versions")
    if listed is None:
        # Under an empty number, so that two single versions are compared under any numbers.
        return {"": _read_version(exported, uri)}
    return {entry["version"]: _read_version(entry, uri) for entry in listed}


def _read_version(exported: Mapping[str, Any], uri: str | None) -> _Version:
    return _Version(
        number=exported["version"],
        uri=uri,
        type=exported["accepts"]["type"],
        domain=exported.get("domain"),
        accepts=exported["accepts"]["schema"],
        emits={emitted["type"]: emitted["schema"] for emitted in exported["emits"]},
    )


def _find_breaking_changes(
    consumed: Mapping[str, _Version], produced: Mapping[str, _Version], *, swapped: bool = False
) -> Iterator[BreakingChange]:
    """Yield the changes that break consumers of *consumed* when the producer follows *produced*.

    *swapped* means that *produced* is the older contract.
    """
    for number, consumer in consumed.items():
        producer = produced.get(number)
        path = f"versions.{number}" if number else f"version {consumer.number}"
        if producer is None:
            reason = "the handler has no such version" if swapped else "no handler answers it"
            yield _make_change(path, "a version", "nothing", reason, swapped=swapped)
            continue
        yield from _compare_terms(path, consumer, producer, swapped=swapped)
        for gap in gaps(consumer.accepts, producer.accepts, f"{path}.accepts"):
            reason = "the handler refuses such a value"
            yield _make_change(gap.path, gap.sent, gap.accepted, reason, swapped=swapped)
        yield from _compare_emitted(path, consumer, producer, swapped=swapped)


def _compare_terms(
    path: str, consumer: _Version, producer: _Version, *, swapped: bool
) -> Iterator[BreakingChange]:
    for term, reason in (
        ("uri", "events have another dataschema"),
        ("type", "events are sent to another address"),
        ("domain", "events are sent to another domain"),
    ):
        before, after = getattr(consumer, term), getattr(producer, term)
        if before != after and (term != "uri" or (before and after)):
            yield _make_change(f"{path}.{term}", repr(before), repr(after), reason, swapped=swapped)


def _compare_emitted(
    path: str, consumer: _Version, producer: _Version, *, swapped: bool
) -> Iterator[BreakingChange]:
    for name, schema in producer.emits.items():
        emitted_path = f"{path}.emits.{name}"
        if name not in consumer.emits:
            reason = "consumers do not know this event"
            yield _make_change(emitted_path, "nothing", "an event", reason, swapped=swapped)
            continue
        for gap in gaps(schema, consumer.emits[name], emitted_path):
            reason = "consumers do not expect such a value"
            yield _make_change(gap.path, gap.accepted, gap.sent, reason, swapped=swapped)


def _make_change(
    path: str, before: str, after: str, reason: str, *, swapped: bool
) -> BreakingChange:
    if swapped:
        before, after = after, before
    return BreakingChange(path, before, after, reason)
