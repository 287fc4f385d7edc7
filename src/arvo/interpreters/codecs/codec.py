"""Codec: the protocol for encoding the contents that a backend stores and sends."""

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, final, runtime_checkable

from attrs import frozen

if TYPE_CHECKING:
    from arvo.interpreters.ports.backend import Backend

Kind: TypeAlias = Literal[
    "event",
    "message",
    "record",
    "change",
    "progress",
    "report",
    "dead_letter",
    "value",
    "history",
]


class Undecodable(ValueError):
    """A text cannot be decoded; the message names the reason and the remedy.

    It becomes `Corrupt`, or a dead letter where it is a message.
    """


@final
@frozen
class Place:
    """What a text belongs to. A codec may choose a key by it, and binds the text to it.

    *kind*: `event` (the data of an event in a database), `message` (that of one in a broker),
    `record` and `change` (a workflow's record, and what a turn changed in it), `progress` (the
    results of effects so far), `report` (what effects report to watchers), `dead_letter`, `value`
    (a value in the memory of a pair), `history` (a part of a history in the index of a pair).
    *subject*: the subject of the workflow; of a `value` its key, which is the subject for a
    workflow, and `(…)` or `(…) subject` for others. *id*: of the event or dead letter, or the
    position in a history. *type*, *source*, *to*: of an event.
    """

    kind: Kind
    subject: str
    id: str = ""
    type: str = ""
    source: str = ""
    to: str = ""


@runtime_checkable
class Codec(Protocol):
    """Encodes payloads, states, journals and checkpoints before a backend has them.

    Both functions are called in any thread, and must not block. `decode(encode(x, p), p) == x`.
    """

    def encode(self, content: bytes, place: Place) -> bytes:
        """Encode JSON text, or what another codec has encoded."""
        ...

    def decode(self, content: bytes, place: Place) -> bytes:
        """Decode a text that `encode` returned for the same place.

        Raises `Undecodable` for other text. It also gets clear text, that was written without a
        codec: it returns or refuses that.
        """
        ...


@runtime_checkable
class AcceptsCodec(Protocol):
    """A backend that encodes its contents."""

    def with_codec(self, codec: Codec) -> "Backend":
        """Return this backend, which was not used yet, with a codec."""
        ...
