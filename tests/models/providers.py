"""Providers: a server on loopback that speaks the wire formats of two providers, and checks them.

It answers with a script, one answer for each request by the number of answers in its messages, and
notes each call without exactly one result, as the providers refuse such a prompt.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

from attrs import define, field

THINKING: Final = {"type": "thinking", "thinking": "hm", "signature": "c2lnbmF0dXJl"}
# The calls of one answer: the provider's id, the tool and its arguments.
Calls = Sequence[tuple[str, str, dict[str, Any]]]


@define(eq=False)
class Provider:
    """A provider: its *script*, the *bodies* it got, and the *problems* it found in them."""

    url: str
    script: Sequence[Calls]
    bodies: list[dict[str, Any]] = field(factory=list)
    problems: list[str] = field(factory=list)

    def openai(self, body: dict[str, Any]) -> dict[str, Any]:
        """Answer a request of Chat Completions."""
        waiting, count = list[str](), 0
        for message in body["messages"]:
            if message["role"] == "tool":
                self._remove(waiting, message["tool_call_id"])
                continue
            self._require(not waiting, f"{waiting} unanswered")
            waiting = [it["id"] for it in message.get("tool_calls") or ()]
            count += message["role"] == "assistant"
        self._require(not waiting, f"{waiting} unanswered at the end")
        calls = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": _json(data)}}
            for id_, name, data in self.script[count]
        ]
        message = {"role": "assistant", "content": None, "tool_calls": calls}
        return {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-4o",
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
            "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}],
        }

    def anthropic(self, body: dict[str, Any]) -> dict[str, Any]:
        """Answer a request of Messages, with a thought that must come back as it is."""
        waiting, count = list[str](), 0
        for message in body["messages"]:
            content = message["content"] if isinstance(message["content"], list) else []
            if message["role"] == "assistant":
                self._require(THINKING in content, "the signature of a thought is lost")
                waiting = [it["id"] for it in content if it["type"] == "tool_use"]
                count += 1
                continue
            for result in content:
                if result["type"] == "tool_result":
                    self._remove(waiting, result["tool_use_id"])
            self._require(not waiting, f"{waiting} unanswered")
        calls = [
            {"type": "tool_use", "id": id_, "name": name, "input": data}
            for id_, name, data in self.script[count]
        ]
        return {
            "id": "x",
            "type": "message",
            "role": "assistant",
            "model": "claude-haiku-4-5",
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": {"input_tokens": 100, "output_tokens": 10},
            "content": [THINKING, *calls],
        }

    def _remove(self, waiting: list[str], call: str) -> None:
        self._require(call in waiting, f"a result for {call}, which waits for none")
        if call in waiting:
            waiting.remove(call)

    def _require(self, holds: bool, problem: str) -> None:
        if not holds:
            self.problems.append(problem)


@contextmanager
def serve(script: Sequence[Calls]) -> Iterator[Provider]:
    """Run a provider on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            provider.bodies.append(body)
            is_openai = self.path.endswith("/chat/completions")
            made = provider.openai(body) if is_openai else provider.anthropic(body)
            if body.get("stream"):
                text = _stream_openai(made) if is_openai else _stream_anthropic(made)
                self._send(text, "text/event-stream")
            else:
                self._send(_json(made), "application/json")

        def _send(self, text: str, kind: str) -> None:
            content = text.encode()
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            """Write no log."""

    # The method that http.server looks for.
    setattr(Handler, "do_POST", Handler.answer)  # noqa: B010
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Provider(f"http://127.0.0.1:{server.server_port}", script)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _stream_openai(answer: dict[str, Any]) -> str:
    """Return an answer of Chat Completions as a stream of its text, word by word."""
    [(_, _, data)] = [
        (it["id"], it["function"]["name"], json.loads(it["function"]["arguments"]))
        for it in answer["choices"][0]["message"]["tool_calls"]
    ]
    base = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    pieces = [{"content": f"{word} "} for word in data["answer"].split()]
    chunks = [
        {**base, "choices": [{"index": 0, "delta": it, "finish_reason": None}]} for it in pieces
    ]
    end = {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    usage = {**base, "choices": [], "usage": answer["usage"]}
    lines = [f"data: {_json(it)}\n\n" for it in (*chunks, end, usage)]
    return "".join([*lines, "data: [DONE]\n\n"])


def _stream_anthropic(answer: dict[str, Any]) -> str:
    """Return an answer of Messages as a stream, as its client asks for long answers."""
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**answer, "content": [], "stop_reason": None}}
    ]
    for index, block in enumerate(answer["content"]):
        if block["type"] == "thinking":
            empty: dict[str, Any] = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        else:
            empty = {**block, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": _json(block["input"])}]
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += [{"type": "content_block_delta", "index": index, "delta": it} for it in deltas]
        events.append({"type": "content_block_stop", "index": index})
    ending = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ending, "usage": answer["usage"]})
    events.append({"type": "message_stop"})
    return "".join(f"event: {it['type']}\ndata: {_json(it)}\n\n" for it in events)


def _json(value: object) -> str:
    return json.dumps(value)
