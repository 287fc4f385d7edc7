"""Events: the commands that send events and signals."""

from typing import Final

from arvo.cli.terminal.events import parse_payload, read_events
from arvo.cli.terminal.load import (
    Reason,
    SystemName,
    Url,
    load_system,
    open_backend,
    require_existing,
    user_name,
)
from arvo.cli.terminal.output import print_json, print_line
from arvo.interpreters.runtime.client import Client
from arvo.printable import printable

# The source of events that are sent without --source.
CLI_SOURCE: Final = "arvo.cli.shell"


async def send(
    system: SystemName,
    events: str = "-",
    /,
    *,
    backend: Url,
    type: str | None = None,  # noqa: A002 - the wire's word
    source: str = CLI_SOURCE,
    id: str | None = None,  # noqa: A002 - short for a shell
) -> None:
    """Send events to a system; all are checked before the first is sent.

    EVENTS is a JSON file, or - for standard input: one event, a list, or one event a line.

    Parameters
    ----------
    type
        EVENTS holds payloads; each becomes an event of this type.
    source
        The source of those events: the address that replies go to.
    id
        The workflow id of the run that a single payload begins; it begins once.
    """
    loaded = load_system(system, backend)
    batch = read_events(loaded, events, type, source, id)
    async with Client(loaded, open_backend(backend)) as client:
        for event in batch:
            await client.check(event)
        for event in batch:
            await client.send(event)
            print_line(printable(f"{event.id}  {event.type}  {event.subject}"))


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
        print_line(printable(f"{event.id}  {event.type}  {event.subject}"))
