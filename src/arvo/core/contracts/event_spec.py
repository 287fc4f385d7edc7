"""Event spec: one event of a contract, and the writing of its payload."""

from collections.abc import Mapping
from typing import Any, final

from attrs import frozen

from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.payloads.json_data import freeze_unchecked
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues
from arvo.core.violations.violation import ContractViolation, Violated


@final
@frozen
class EventSpec:
    """An event that a contract declares.

    *type*, *dataschema*: the attributes of its events. *domain*: the domain of the contract.
    """

    type: str
    payload: Payload[Any]
    dataschema: str
    domain: str | None = None

    def write(self, value: object, extra: Mapping[str, Any] = EMPTY) -> tuple[Any, FrozenDict]:
        """Return the data of an event with this payload, and its JSON.

        A mapping is read back: the sender sees what is received. *extra* are values of the
        protocol's own keys. Raises `Violated`, which names each invalid field.
        """
        payload = self.payload
        json = payload.write(value, extra=extra)
        if isinstance(json, Issues):
            message = f"{self.type} of {self.dataschema} does not accept this payload"
            raise Violated(ContractViolation(message, json))
        raw: FrozenDict = freeze_unchecked(json)
        if not payload.types:
            return raw, raw
        return value if type(value) in payload.types else payload.read(json), raw
