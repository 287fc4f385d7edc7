"""Rules: functions of another module, which a workflow names by it."""

from arvo import Emit
from tests.shop import BookShipment


def book_elsewhere(order_id: str) -> Emit:
    """Book by a partner."""
    return Emit(BookShipment(order_id), domain="partner")


def book_here(order_id: str) -> Emit:
    """Book in this system."""
    return Emit(BookShipment(order_id))
