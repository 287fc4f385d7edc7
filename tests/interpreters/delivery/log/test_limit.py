"""Limit: an outage is seen, and does not fill the log."""

from attrs import define

from arvo.interpreters.delivery.log.limit import REPEAT_SECONDS, LineLimit


@define
class Clock:
    """A clock that the test sets."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_is_allowed_once_in_ten_seconds() -> None:
    """With sixteen tasks for each handler, a minute's outage was thousands of lines."""
    clock = Clock()
    limit = LineLimit(clock)
    due: list[tuple[float, int | None]] = []

    for second in range(int(3 * REPEAT_SECONDS)):
        clock.now = float(second)
        if limit.is_due():
            due.append((clock.now, limit.unlogged))

    assert due == [(0.0, None), (10.0, 9), (20.0, 9)]
