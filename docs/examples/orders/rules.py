"""Rules: the messages that the three forms of the order workflow share."""

from arvo import ContractViolation, Issue


def wrong_total(order_id: str, total: int, price: int) -> ContractViolation:
    issue = Issue("total_cents", f"{price}, by the warehouse's prices", f"{total}")
    return ContractViolation(f"order {order_id} was sold at another price", issue)


def not_shipped(receipt: str | None, reason: str) -> str:
    return f"paid as {receipt}, not shipped: {reason}"
