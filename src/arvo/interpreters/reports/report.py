"""Report: a value that an effect has reported, and batches of them as bytes."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias, final

import orjson
from attrs import frozen

from arvo.core.payloads.json_data import freeze_unchecked
from arvo.printable import printable

# The longest batch: what a broker and a row of a database take without effort.
BATCH_BYTES_MAX: Final = 256 * 1024
# What the numbers and names of one report take in a batch.
HEAD_BYTES_MAX: Final = 512
# The longest name of an effect in a report.
NAME_CHARACTERS_MAX: Final = 100

# The numbers of the call and of its attempt, the name of the effect, the number of the report, and
# its JSON text.
Entry: TypeAlias = tuple[int, int, str, int, bytes]


@final
@frozen(kw_only=True)
class Report:
    """A value that an effect has reported with `report`, as a watcher gets it: at most once.

    *value*: as JSON, frozen. *effect*: the name of its function. *event*: the id of the event in
    whose turn it runs, that of the workflow or of a service that the workflow has asked. *call*:
    the number of the call among those of the turn, for several may run at the same time.
    *delivery*, *attempt*: how many times the event was delivered, and the attempt of the effect's
    retry policy; a report with a higher one begins anew what those before have shown. *number*:
    counts the reports of an attempt from 1; a gap shows that some were dropped.
    """

    value: Any
    effect: str
    event: str
    call: int
    delivery: int
    attempt: int
    number: int

    def __str__(self) -> str:
        attempt = f", delivery {self.delivery}" if self.delivery > 1 else ""
        attempt += f", attempt {self.attempt}" if self.attempt > 1 else ""
        value = orjson.dumps(self.value).decode()
        return printable(f"report  {self.effect}{attempt}  {value}")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "effect": self.effect,
            "event": self.event,
            "call": self.call,
            "delivery": self.delivery,
            "attempt": self.attempt,
            "number": self.number,
            "value": self.value,
        }


def encode_batch(event: str, delivery: int, entries: Iterable[Entry]) -> bytes:
    """Encode reports of one turn."""
    reports = [[*head, orjson.Fragment(value)] for *head, value in entries]
    return orjson.dumps({"event": event, "delivery": delivery, "reports": reports})


def decode_batch(batch: bytes) -> Sequence[Report]:
    """Decode a batch; one of another format has no reports."""
    try:
        content = orjson.loads(batch)
        return [
            Report(
                value=freeze_unchecked(value),
                effect=effect,
                event=content["event"],
                call=call,
                delivery=content["delivery"],
                attempt=attempt,
                number=number,
            )
            for call, attempt, effect, number, value in content["reports"]
        ]
    except (ValueError, TypeError, KeyError):
        return ()
