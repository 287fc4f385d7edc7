"""Samples: payload classes that several test modules share."""

import enum
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from annotated_types import Ge, Len, MinLen
from attrs import field, frozen

from arvo.core.payloads.types.constraint import Format

KEY = UUID("6f1e3c1e-3f5b-4d6e-9a51-6f1e3c1e3f5b")


class Tier(enum.Enum):
    GOLD = "gold"
    SILVER = "silver"


class Location(enum.StrEnum):
    HERE = "here"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@frozen
class Line:
    sku: Annotated[str, Len(1, 20)]
    amount: Annotated[float, Ge(0)]


@frozen
class Card:
    number: Annotated[str, MinLen(4)]
    kind: Literal["card"] = "card"


@frozen
class Cash:
    kind: Literal["cash"] = "cash"


@frozen
class Order:
    order_id: str
    email: Annotated[str, Format("email")]
    lines: tuple[Line, ...] = ()
    note: str | None = None
    how: Card | Cash = Cash()


@frozen
class Everything:
    """One field of each supported type."""

    when: datetime = datetime(2026, 1, 31, 10, 0, 0, 5, tzinfo=UTC)
    day: date = date(2026, 1, 31)
    clock: time = time(10, 30)
    clock_there: time = time(10, 30, tzinfo=UTC)
    span: timedelta = timedelta(days=-1, seconds=5, microseconds=120)
    price: Decimal = Decimal("1.10")
    key: UUID = KEY
    blob: bytes = b"\x00\xff"
    tier: Tier = Tier.GOLD
    level: Level = Level.HIGH
    place: Location = Location.HERE
    confirmed: bool = False
    choice: Literal["a", 1, True] = True
    number: int | float = 2.0
    text: str | int | None = None
    pair: tuple[int, str] = (1, "a")
    none: tuple[()] = ()
    listed: Sequence[int] = (1, 2)
    items: list[Line] = field(factory=lambda: [Line("a", 1.0)])
    bag: frozenset[str] = frozenset({"b", "a"})
    many: set[Level] = field(factory=lambda: {Level.LOW})
    counts: dict[str, int] = field(factory=lambda: {"a b": 1})
    by_tier: Mapping[Tier, Decimal] = field(factory=lambda: {Tier.GOLD: Decimal(3)})
    anything: Any = None
    how: Card | Cash | None = Card("1234")
    maybe: "Everything | None" = None
    wire_name: int = field(default=1, alias="wireName")
    _private: int = 2
    computed: int = field(init=False, default=9)
