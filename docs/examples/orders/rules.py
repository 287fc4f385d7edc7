"""Rules: what the three forms of the order workflow say alike."""

from arvo import ContractViolation, Issue
from docs.examples.orders.contracts import PlaceOrder


def wrong_total(placed: PlaceOrder, price: int) -> ContractViolation:
    issue = Issue("total_cents", f"{price}, by the warehouse's prices", f"{placed.total_cents}")
    return ContractViolation(f"order {placed.order_id} was sold at another price", issue)


def not_shipped(receipt: str | None, reason: str) -> str:
    return f"paid as {receipt}, not shipped: {reason}"
