"""Press: ids and subjects of what a step makes."""

from arvo import Emit, OrchestratorContract, Resumable, Subject, System, Workflow
from tests.shop import OrderFulfilled, PlaceOrder, committed, order, placing

child = OrchestratorContract(
    uri="#/orchestrators/child",
    name="order.child",
    versions={"1.0.0": Workflow(init=PlaceOrder, complete=OrderFulfilled)},
)


def test_a_child_in_several_domains_is_several_runs() -> None:
    """Each has an id and a subject of its own, and they follow from the cause: the same again."""
    begin = Emit(PlaceOrder("c1"), domain=["eu", "us"])
    system = System([Resumable(order, {"1.0.0": lambda _: begin}, services=[child["1.0.0"]])])

    first, again = (committed(system, placing()) for _ in range(2))

    runs = [Subject.parse(event.subject) for event in first.events]
    assert [run.execution.domain for run in runs] == ["eu", "us"]
    assert len({run.execution.id for run in runs}) == 2
    assert len({event.id for event in first.events}) == 2
    assert first == again
    assert first.record is not None
    assert {kept.subject for kept in first.record.children.values()} == set(map(str, runs))
