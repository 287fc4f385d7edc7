"""Systems: the shop with its order workflow in each of its forms."""

from collections.abc import Mapping
from typing import Final

from arvo import System
from docs.examples.orders import as_flow, as_orchestrator, as_resumable
from docs.examples.orders.services import parcels, payments, warehouse

SYSTEMS: Final[Mapping[str, System]] = {
    "flow": System([warehouse, payments, parcels, as_flow.fulfilment]),
    "orchestrator": System([warehouse, payments, parcels, as_orchestrator.fulfilment]),
    "resumable": System([warehouse, payments, parcels, as_resumable.fulfilment]),
}
