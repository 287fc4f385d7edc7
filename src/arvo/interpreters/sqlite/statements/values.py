"""Values: queries about many values at once, as statements that the driver prepares once."""

import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

# Values in one statement. The rest of a statement is filled with the last value: each size of each
# query is a statement that the driver prepares once, of the 128 that it keeps.
_SIZES: Final = (1, 4, 16, 64, 256)


def select(
    connection: sqlite3.Connection,
    query: str,
    values: Sequence[Any],
    parameters: Sequence[Any] = (),
) -> list[Any]:
    """Return the rows of *query* for *values*: a list, of which it may see a value several times.

    The query has `({values})` as a table of one column, and `?1` and so on for *parameters*.
    """
    rows: list[Any] = []
    for start in range(0, len(values), _SIZES[-1]):
        some = values[start : start + _SIZES[-1]]
        size = next(size for size in _SIZES if size >= len(some))
        filling = [some[-1]] * (size - len(some))
        statement = _statement(query, size, len(parameters))
        rows += connection.execute(statement, (*parameters, *some, *filling))
    return rows


@cache
def _statement(query: str, size: int, first: int) -> str:
    rows = ", ".join(f"(?{first + place})" for place in range(1, size + 1))
    return query.format(values=f"values {rows}")
