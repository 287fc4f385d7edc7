"""Columns: many rows as the arrays that `unnest` takes."""

from collections.abc import Iterable, Sequence


def columns(rows: Iterable[Sequence[object]], number: int) -> list[list[object]]:
    """Turn rows of *number* columns into one list for each column."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(number)]
