"""Services: the contracts that a workflow may send requests to."""

import pickle
from typing import Any, cast

import pytest
from attrs import frozen

from arvo import Contract, Resumable, Version, VersionedContract, Violated
from arvo.handlers.services import Services
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


def test_the_tables_of_services_agree_with_a_search_through_all() -> None:
    """Each request and each reply is found in them, however many services there are."""

    @frozen
    class Shared:
        n: int

    versions = {"1.0.0": Version(accepts=Shared, emits={"evt.done": Shared})}
    twins = [
        Contract(uri=f"#/twins/{n}", type=f"com.twin.n{n}", versions=versions)["1.0.0"]
        for n in range(2)
    ]
    listed: tuple[VersionedContract[Any], ...] = (charge["1.0.0"], *twins, ship["1.0.0"])
    services = Services(listed)

    assert services == listed
    assert pickle.loads(pickle.dumps(Services((charge["1.0.0"],)))).by_type  # noqa: S301 - ours
    assert services.by_class[Shared] == ("com.twin.n0", "com.twin.n1")
    for name in ("evt.done", *(service.system_error_type for service in listed), "evt.other"):
        expected = tuple(
            service
            for service in listed
            if name in service.emitted or name == service.system_error_type
        )
        assert services.by_answer.get(name, ()) == expected
    for service in listed:
        assert services.by_type[service.type] is service
