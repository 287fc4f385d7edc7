"""Services: the contracts that a workflow may send requests to."""

from typing import Any, cast

import pytest

from arvo import Contract, Resumable, Version, Violated
from tests.shop import ChargeCard, charge, fulfil, order, ship


def test_each_service_comes_once_and_none_is_the_workflow_itself() -> None:
    """With two versions, the version of a reply would be ambiguous."""
    twice = Contract(
        uri=charge.uri,
        type=charge.type,
        versions={"2.0.0": Version(accepts=ChargeCard)},
    )

    with pytest.raises(Violated) as refused:
        Resumable(
            order,
            {"1.0.0": fulfil},
            services=[charge["1.0.0"], ship["1.0.0"], twice["2.0.0"], order["1.0.0"]],
        )

    assert [str(issue) for issue in refused.value.violation.issues] == [
        f"services[2]: expected one version of each contract, got {charge.uri} in 1.0.0 and 2.0.0",
        "services[3]: expected another contract than the workflow's own, got #/orchestrators/order",
    ]


def test_a_contract_in_place_of_one_version_is_refused() -> None:
    """The most likely mistake; without the check it is an AttributeError in the first turn."""
    with pytest.raises(Violated, match=r"one version of a contract"):
        Resumable(order, {"1.0.0": lambda _: None}, services=[cast("Any", charge)])
