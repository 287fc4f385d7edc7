"""Reader: reads a JSON Lines file of orders and reports what is wrong with each bad line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson
from attrs import frozen

from arvo import Issue, Issues, Payload
from docs.examples.orders.contracts import PlaceOrder

LINE_BYTES_MAX: Final = 64 * 1024
ORDER: Final = Payload.of(PlaceOrder)


@frozen
class BadLine:
    """A line that is not an order: its number, and an issue for each wrong field."""

    number: int
    issues: tuple[Issue, ...]


def read_orders(path: Path) -> Iterator[PlaceOrder | BadLine]:
    """Read a file line by line; raises `OSError` if it cannot be opened."""
    first: dict[str, int] = {}
    with path.open("rb") as file:
        for number, line in enumerate(map(bytes.strip, file), 1):
            if not line:
                continue
            match read_line(line):
                case Issues(items=issues):
                    yield BadLine(number, issues)
                case PlaceOrder(order_id=id_) if id_ in first:
                    got = f"{id_!r}, as in line {first[id_]}"
                    yield BadLine(number, (Issue("order.order_id", "a unique id", got),))
                case placed:
                    first[placed.order_id] = number
                    yield placed


def read_line(line: bytes) -> PlaceOrder | Issues:
    """Parse one order; return an issue for every fault that it has."""
    if len(line) > LINE_BYTES_MAX:
        return Issues.one("order", f"at most {LINE_BYTES_MAX} bytes", f"{len(line)}")
    try:
        content = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Issues.one("order", "JSON", f"{error.msg} at character {error.pos}")
    return ORDER.read(content, "order")
