"""Handler: a schedule as a workflow that begins other workflows."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Final, TypeVar, Unpack, final

from attrs import frozen

from arvo.core.contracts.orchestrator import OrchestratorContract
from arvo.core.contracts.version_spec import Workflow
from arvo.core.contracts.versioned import EventOptions
from arvo.core.contracts.versioned_workflow import BeginOptions, VersionedWorkflow
from arvo.core.events.event import Event
from arvo.core.events.identity import is_workflow_id
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.adapters import is_payload_class
from arvo.core.violations.arguments import check_argument, refusal
from arvo.core.violations.issue import Issues
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.duration import to_timedelta
from arvo.handlers.event_handler import DEFAULT_POLICY
from arvo.handlers.resumable import Resumable, WorkflowDomains
from arvo.handlers.schedule.plan import (
    CATCH_UP,
    Overlap,
    ScheduleEnded,
    SchedulePlan,
    ScheduleState,
    plan_digest,
)
from arvo.handlers.schedule.signals import SIGNALS, UPDATE, UpdateSchedule
from arvo.handlers.schedule.spec import Spec
from arvo.handlers.schedule.target import Target
from arvo.handlers.schedule.turns import take_turn
from arvo.handlers.services import read_services

A = TypeVar("A")

# The one version of the contract of a schedule, which is ours.
VERSION: Final = "1.0.0"
# Who begins and updates the schedules that the code declares.
SOURCE: Final = "arvo.schedule.runtime"
# A workflow id of an occurrence has the name, a time and the hash of a trigger.
NAME_CHARACTERS_MAX: Final = 200


@final
@frozen(init=False, eq=False)
class ScheduleHandler(Resumable[ScheduleState]):  # type: ignore[override]  # its constructor
    """A workflow that begins another one at given times; made by `every`.

    *name*: its workflow id, and the last part of its address `arvo.orc.schedule.{name}`. *plan*:
    what the code declares. Each `Runtime` whose system has it begins it when it starts, once on any
    number of processes, and updates it where the code declares another plan than before. It takes
    the signals `PauseSchedule`, `ResumeSchedule`, `TriggerSchedule`, `BackfillSchedule`,
    `UpdateSchedule` and `DeleteSchedule`. `query` returns a `ScheduleState`.
    """

    name: str
    plan: SchedulePlan
    # It never ends, and each turn writes the record: 6 KB with these.
    children_max: ClassVar[int | None] = 20

    def __init__(
        self,
        name: str,
        plan: SchedulePlan,
        target: Target,
    ) -> None:
        contract = _contract_of(name)
        services, signals = read_services(contract, [target.workflow], SIGNALS)
        self.__attrs_init__(
            contract,
            {VERSION: partial(take_turn, target)},
            services,
            signals,
            Payload.of(ScheduleState),
            0,
            WorkflowDomains(),
            DEFAULT_POLICY,
            None,
            name,
            plan,
        )

    @property
    def declared(self) -> str:
        """The digest of its plan; see `ScheduleState.declared`."""
        return plan_digest(self.plan)

    def begin(
        self, plan: SchedulePlan | None = None, **options: Unpack[BeginOptions]
    ) -> Event[SchedulePlan]:
        """Make the event that begins the schedule, as a runtime does by itself.

        With a *plan* and a *workflow_id* it is another schedule of the same workflow, such as one
        for each customer.
        """
        options["workflow_id"] = options.get("workflow_id") or self.name
        contract = self.contract.version(VERSION)
        return contract.init(plan or self.plan, source=SOURCE, **options)

    def update(self, run: str, **options: Unpack[EventOptions]) -> Event[UpdateSchedule]:
        """Make the signal by which the schedule with the subject *run* follows *plan*."""
        signal = UpdateSchedule(self.plan, declared=True)
        options["to"], options["subject"] = self.source, run
        return UPDATE.accepts(signal, source=SOURCE, **options)


def every(  # noqa: PLR0913 - what a schedule is
    workflow: VersionedWorkflow[A, Any],
    spec: Spec,
    payload: A | Callable[[datetime], A],
    *,
    name: str | None = None,
    overlap: Overlap = "skip",
    jitter: timedelta | float = 0,
    catch_up: timedelta | float = CATCH_UP,
    until: datetime | None = None,
) -> ScheduleHandler:
    """Make a schedule: a handler for a `System`, which begins a workflow at the times of *spec*.

    *workflow*: one version of its contract, such as `report["1.0.0"]`. *payload*: what each run
    begins with, or a pure function from the time of its occurrence, in UTC, to that. The run of an
    occurrence has the workflow id `{name}/2026-03-29T07:00:00Z`, so it begins once; its first event
    has the time as the extension `scheduledtime`. *name*: by default that of the workflow's
    contract. *overlap*, *jitter*, *catch_up* and *until*: see `SchedulePlan`; spans are seconds or
    timedeltas. Raises `Violated`, which names each argument.
    """
    expected = 'one version of a workflow\'s contract, such as report["1.0.0"]'
    check_argument("workflow", workflow, VersionedWorkflow, expected, of="every")
    name = workflow.name if name is None else name
    if not is_workflow_id(name) or len(name) > NAME_CHARACTERS_MAX:
        expected = f"lower-case segments and dots, at most {NAME_CHARACTERS_MAX} characters"
        raise refusal("name", name, expected, "every")
    is_made = callable(payload) and not is_payload_class(type(payload))
    make: Any = payload if is_made else lambda _: payload
    target = Target(workflow, make)
    json = None if is_made else target.write(payload)
    if isinstance(json, Issues):
        raise Violated(ConfigViolation(f"the schedule {name} cannot begin its workflow", json))
    plan = SchedulePlan(
        spec=spec,
        payload=json,
        overlap=overlap,
        jitter=to_timedelta("jitter", jitter),
        catch_up=to_timedelta("catch_up", catch_up),
        until=until,
    )
    return ScheduleHandler(name, plan, target)


def _contract_of(name: str) -> OrchestratorContract[Any, Any]:
    return OrchestratorContract(
        uri=f"#/schedules/{name}",
        name=f"schedule.{name}",
        versions={VERSION: Workflow(init=SchedulePlan, complete=ScheduleEnded)},
    )
