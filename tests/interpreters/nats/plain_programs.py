"""Plain programs: two programs that know NATS and the wire format, but not Arvo.

`requester URL PREFIX RECORDED` publishes the events of a file in JSON Lines, and begins a workflow.
`clerk URL OWN_PREFIX PREFIX` receives the request of the workflow in a queue of its own, checks it
against the rules of the reference, and replies.
"""

import asyncio
import base64
import json
import re
import sys
import zlib
from pathlib import Path
from typing import Any

import nats

TIME = "2026-01-02T03:04:05.678+00:00"
CONTENT_TYPE = "application/cloudevents+json;charset=UTF-8;profile=arvo"
WORKFLOW = "arvo.orc.wire.order"
CLERK = "com.wire.clerk"
# The envelope as the reference writes it: these keys in this order, with extensions in between.
FIRST = ["id", "source", "specversion", "type", "subject", "datacontenttype", "dataschema", "data"]
FIRST += ["time"]
LAST = ["to", "accesscontrol", "redirectto", "executionunits", "traceparent", "tracestate"]
LAST += ["parentid", "domain"]


def envelope(**attributes: Any) -> dict[str, Any]:
    """Make an event without Arvo."""
    empty: dict[str, Any] = dict.fromkeys([*FIRST, *LAST])
    fixed = {"specversion": "1.0", "datacontenttype": CONTENT_TYPE, "time": TIME}
    return {**empty, **fixed, **attributes}


def subject_of(run: str) -> str:
    """Return the subject of a run of the workflow, without Arvo."""
    orchestrator = {"name": WORKFLOW, "version": "1.0.0"}
    execution = {"id": run, "initiator": "com.wire.requester", "domain": None}
    fields = {"orchestrator": orchestrator, "execution": execution, "meta": {}}
    return base64.b64encode(zlib.compress(json.dumps(fields).encode())).decode()


def broken_rules(event: dict[str, Any]) -> list[str]:
    """Return the rules of the reference that an event breaks."""
    keys = list(event)
    rules = {
        "keys in order": keys[: len(FIRST)] == FIRST and keys[-len(LAST) :] == LAST,
        "specversion": event["specversion"] == "1.0",
        "content type": event["datacontenttype"] == CONTENT_TYPE,
        "id": isinstance(event["id"], str) and bool(event["id"]),
        "type": bool(re.fullmatch(r"[a-z0-9]+(\.[a-z0-9_]+){2,}", event["type"])),
        "data": isinstance(event["data"], dict),
        "time": bool(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}[+-]\d\d:\d\d", event["time"])),
        "dataschema": bool(re.fullmatch(r"#[^ ]*/\d+\.\d+\.\d+", event["dataschema"] or "")),
    }
    return [rule for rule, holds in rules.items() if not holds]


async def begin_workflow(url: str, prefix: str, recorded: list[dict[str, Any]]) -> None:
    client = await nats.connect(url)
    stream = client.jetstream()
    for case in recorded:
        if case["valid"]:
            await stream.publish(f"{prefix}.com.wire.recorded", json.dumps(case["json"]).encode())
    begin = envelope(
        id="begin-1",
        source="com.wire.requester",
        type=WORKFLOW,
        to=WORKFLOW,
        subject=subject_of("run-1"),
        dataschema="#/wire/order/1.0.0",
        data={"parentSubject$$": None, "number": 20},
    )
    for _ in range(2):
        await stream.publish(f"{prefix}.{WORKFLOW}", json.dumps(begin).encode())
    await client.close()


async def reply(url: str, own_prefix: str, prefix: str) -> None:
    client = await nats.connect(url)
    stream = client.jetstream()
    # Each request has the subject of its workflow, below that of the address.
    requests = await stream.pull_subscribe(f"{own_prefix}.{CLERK}.>", "clerk", stream=own_prefix)
    [message] = await requests.fetch(1, timeout=30)
    event = json.loads(message.data)
    broken = broken_rules(event)
    answer = envelope(
        id="reply-1",
        source=CLERK,
        type="evt.wire.counted",
        subject=event["subject"],
        to=event["redirectto"] or event["source"],
        parentid=event["id"],
        dataschema="#/wire/clerk/1.0.0",
        data={"number": event["data"]["number"] + 1},
    )
    await stream.publish(f"{prefix}.{answer['to']}", json.dumps(answer).encode())
    await message.ack()
    await client.close()
    print(json.dumps({"broken": broken, "headers": message.headers}), flush=True)


if __name__ == "__main__":
    assert "arvo" not in sys.modules
    if sys.argv[1] == "requester":
        lines = Path(sys.argv[4]).read_text().splitlines()
        asyncio.run(begin_workflow(sys.argv[2], sys.argv[3], list(map(json.loads, lines))))
    else:
        asyncio.run(reply(*sys.argv[2:]))
