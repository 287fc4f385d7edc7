"""Machines: machines of the order contract, valid and invalid, for the tests in this folder."""

from typing import Any

import pytest

from arvo import ConfigViolation, Machine, Violated
from arvo.statechart import State, emit
from tests.shop import (
    SERVICES,
    BookShipment,
    ChargeCard,
    OrderFulfilled,
    order,
)

END = State(type="final", output=OrderFulfilled("end"))
CHARGE = emit(ChargeCard("o1", 1.0))
BOOK = emit(BookShipment("o1"))


def make_machine(**config: Any) -> Machine[Any]:
    """Make a machine of the order contract."""
    return Machine(**{"contract": order["1.0.0"], "services": SERVICES, **config})


def rejection(**config: Any) -> str:
    """Return the message of the violation that an invalid machine raises."""
    with pytest.raises(Violated) as caught:
        make_machine(**config)
    assert isinstance(caught.value.violation, ConfigViolation)
    return str(caught.value)


def broken(context: object, event: object) -> Any:
    """Raise, as a guard or an action with a bug does."""
    raise LookupError("no such card")
