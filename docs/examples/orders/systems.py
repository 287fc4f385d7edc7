"""Systems: the shop with the order workflow in each of its three forms."""

from collections.abc import Mapping
from typing import Final

from arvo import System
from docs.examples.orders import as_flow, as_orchestrator, as_resumable
from docs.examples.orders.services import payments, shipments, warehouse

SYSTEMS: Final[Mapping[str, System]] = {
    "flow": System([warehouse, payments, shipments, as_flow.fulfilment]),
    "orchestrator": System([warehouse, payments, shipments, as_orchestrator.fulfilment]),
    "resumable": System([warehouse, payments, shipments, as_resumable.fulfilment]),
}
