"""Field: one field of a payload class, and the marker for its key in JSON."""

from typing import Any

from attrs import field, frozen


@frozen
class Alias:
    """The key of a field in JSON, such as a word of Python: ``Annotated[str, Alias("from")]``.

    The constructor and the code that reads the field use the name in the class.
    """

    key: str = field()

    @key.validator
    def _encodable(self, _: object, key: str) -> None:
        if not key or any("\ud800" <= it <= "\udfff" for it in key):
            raise ValueError(f"alias: expected a JSON key of at least one character, got {key!r}")


@frozen
class Field:
    """One field of a payload class.

    *wire* is its key in JSON: its `Alias`, or else *argument*, its keyword in the constructor. With
    attrs that is its ``alias``: ``order_id: str = field(alias="orderId")`` is ``orderId`` both in
    the call and on the wire, and a private ``_x`` is ``x`` in both.
    """

    name: str
    argument: str
    wire: str
    type: Any
    default: Any
    """As attrs has it: NOTHING, a value or a Factory. NOTHING also if the field has a converter."""
    required: bool
