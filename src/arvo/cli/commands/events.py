"""Events: the commands that send events and signals."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any, Final

from arvo.cli.terminal.events import parse_payload, read_events
from arvo.cli.terminal.load import (
    FileName,
    Reason,
    SystemName,
    Url,
    load_system,
    open_backend,
    require_existing,
    user_name,
)
from arvo.cli.terminal.output import TEXT, Output, print_json
from arvo.cli.terminal.progress import progress
from arvo.core.events.event import Event
from arvo.engine.system.handler import is_workflow
from arvo.interpreters.delivery.tasks import gather_all
from arvo.interpreters.reports.report import Report
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.watching.item import WorkflowEnded
from arvo.printable import printable

# The source of events that are sent without --source.
CLI_SOURCE: Final = "arvo.cli.shell"
# Workflows that `send --wait` watches at the same time.
WATCHED_MAX: Final = 100


async def send(
    system: SystemName,
    events: FileName = "-",
    /,
    *,
    backend: Url,
    type: str | None = None,  # noqa: A002 - the wire's word
    source: str = CLI_SOURCE,
    id: str | None = None,  # noqa: A002 - short for a shell
    wait: float = 0.0,
    output: Output = TEXT,
) -> int:
    """Send events to a system; all are checked before the first is sent.

    EVENTS is a JSON file, or - for standard input: one event, a list, or one event a line. With
    --wait the exit code is 1 if a workflow failed, or was cancelled.

    Parameters
    ----------
    type
        EVENTS holds payloads; each becomes an event of this type.
    source
        The source of those events: the address that replies go to.
    id
        The workflow id of the run that a single payload begins; it begins once.
    wait
        Seconds to wait until the workflows that the events begin have ended, and print how.
    """
    loaded = load_system(system, backend)
    batch = read_events(loaded, events, type, source, id)
    async with Client(loaded, open_backend(backend)) as client:
        with progress() as show:
            for event in batch:
                await client.check(event)
            for number, event in enumerate(batch, 1):
                await client.send(event)
                show_event(event, output)
                show(f"sent: {number} of {len(batch)}")
            if wait > 0:
                return await _wait_for_all(client, batch, wait, show, output)
    return 0


def show_event(event: Event[Any], output: Output) -> None:
    """Print an event that was sent: its id, type and subject."""
    content = {"id": event.id, "type": event.type, "subject": event.subject}
    output.show(content, printable("  ".join(map(str, content.values()))))


async def _wait_for_all(
    client: Client,
    batch: Sequence[Event[Any]],
    seconds: float,
    show: Callable[[str], None],
    output: Output,
) -> int:
    """Wait for the workflows that events have begun; return 1 if one of them is not done."""
    # A workflow that two events name is waited for once.
    begun = dict.fromkeys(
        it.subject for it in batch if is_workflow(client.system.handler_at(it.type))
    )
    room, ended = asyncio.Semaphore(WATCHED_MAX), list[str]()

    async def wait_for(subject: str) -> None:
        async with room, aclosing(client.watch(subject)) as items:
            async for item in items:
                if isinstance(item, Report):
                    show(f"ended: {len(ended)} of {len(begun)}, {item}")
                elif isinstance(item, WorkflowEnded):
                    ended.append(str(item.status))
                    show(f"ended: {len(ended)} of {len(begun)}")
                    ended_as = {"status": item.status, "subject": subject}
                    output.show(ended_as, printable(f"{item.status}  {subject}"))

    try:
        async with asyncio.timeout(seconds):
            await gather_all([wait_for(subject) for subject in begun])
    except TimeoutError:
        text = f"{len(ended)} of {len(begun)} workflows have ended within {seconds:g} s"
        raise TimeoutError(f"{text}; the others go on") from None
    return int(any(status != "done" for status in ended))


async def signal(
    system: SystemName,
    workflow: str,
    /,
    *,
    type: str,  # noqa: A002 - the wire's word
    data: str = "{}",
    id: str | None = None,  # noqa: A002 - the wire's word
    source: str = CLI_SOURCE,
    wait: float = 0.0,
    reason: Reason = "",
    output: Output = TEXT,
    backend: Url,
) -> None:
    """Signal a workflow; with --wait, print its answer.

    WORKFLOW is the id or the subject of a workflow.

    Parameters
    ----------
    type
        The type of the signal, such as com.desk.approve.
    data
        The payload of the signal, as JSON.
    id
        The id of the signal; it counts once, however often it is sent.
    source
        The source of the signal: the address that its answer goes to.
    wait
        Seconds to wait for the answer of the workflow, where the signal has one.
    """
    payload = parse_payload(data)
    async with Client(load_system(system, backend), require_existing(backend)) as client:
        if wait > 0:
            answer = await client.ask(
                workflow, payload, type=type, id=id, source=source, timeout=wait
            )
            print_json(answer.to_dict())
            return
        event = await client.signal(
            workflow,
            payload,
            type=type,
            id=id,
            source=source,
            actor=user_name() or source,
            reason=reason,
        )
        show_event(event, output)
