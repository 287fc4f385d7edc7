"""Strangers: two processes that know NATS and the wire, and nothing of arvo.

`asker URL PREFIX RECORDED` publishes what a file of JSON Lines holds, and begins a workflow by
hand; `clerk URL MINE PREFIX` takes what is asked of it in a queue of its own, holds it to the
reference's rules, and answers.
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
# The envelope as the reference writes it: these keys, in this order, extensions between the parts.
FIRST = ["id", "source", "specversion", "type", "subject", "datacontenttype", "dataschema", "data"]
FIRST += ["time"]
LAST = ["to", "accesscontrol", "redirectto", "executionunits", "traceparent", "tracestate"]
LAST += ["parentid", "domain"]


def envelope(**said: Any) -> dict[str, Any]:
    """An event by hand."""
    nothing: dict[str, Any] = dict.fromkeys([*FIRST, *LAST])
    fixed = {"specversion": "1.0", "datacontenttype": CONTENT_TYPE, "time": TIME}
    return {**nothing, **fixed, **said}


def subject_of(run: str) -> str:
    """The subject of a run of the workflow, by hand."""
    orchestrator = {"name": WORKFLOW, "version": "1.0.0"}
    execution = {"id": run, "initiator": "com.wire.asker", "domain": None}
    said = {"orchestrator": orchestrator, "execution": execution, "meta": {}}
    return base64.b64encode(zlib.compress(json.dumps(said).encode())).decode()


def broken_rules(event: dict[str, Any]) -> list[str]:
    """The reference's rules that an event breaks."""
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


async def ask(url: str, prefix: str, recorded: list[dict[str, Any]]) -> None:
    client = await nats.connect(url)
    stream = client.jetstream()
    for case in recorded:
        if case["valid"]:
            await stream.publish(f"{prefix}.com.wire.recorded", json.dumps(case["json"]).encode())
    begin = envelope(
        id="begin-1",
        source="com.wire.asker",
        type=WORKFLOW,
        to=WORKFLOW,
        subject=subject_of("run-1"),
        dataschema="#/wire/order/1.0.0",
        data={"parentSubject$$": None, "number": 20},
    )
    for _ in range(2):
        await stream.publish(f"{prefix}.{WORKFLOW}", json.dumps(begin).encode())
    await client.close()


async def answer(url: str, mine: str, prefix: str) -> None:
    client = await nats.connect(url)
    stream = client.jetstream()
    asked = await stream.pull_subscribe(f"{mine}.{CLERK}", "clerk", stream=mine)
    [message] = await asked.fetch(1, timeout=30)
    event = json.loads(message.data)
    broken = broken_rules(event)
    reply = envelope(
        id="reply-1",
        source=CLERK,
        type="evt.wire.counted",
        subject=event["subject"],
        to=event["redirectto"] or event["source"],
        parentid=event["id"],
        dataschema="#/wire/clerk/1.0.0",
        data={"number": event["data"]["number"] + 1},
    )
    await stream.publish(f"{prefix}.{reply['to']}", json.dumps(reply).encode())
    await message.ack()
    await client.close()
    print(json.dumps({"broken": broken, "headers": message.headers}), flush=True)


if __name__ == "__main__":
    assert "arvo" not in sys.modules
    if sys.argv[1] == "asker":
        lines = Path(sys.argv[4]).read_text().splitlines()
        asyncio.run(ask(sys.argv[2], sys.argv[3], list(map(json.loads, lines))))
    else:
        asyncio.run(answer(*sys.argv[2:]))
