"""The private words that must not come back as identifiers: each has a word of the field."""

import io
import keyword
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parent.parent

# The word of ours, and the word that an engineer of this field searches for.
FORBIDDEN: Final = {
    "alarm": "timer",
    "amend": "replace_record",
    "amended": "replaced",
    "anybody": "any worker, any caller",
    "asker": "reply_address",
    "awaited": "pending_requests",
    "beside": "extra",
    "blueprint": "compile",
    "bury": "dead_letter",
    "buried": "dead_lettered",
    "census": "depth",
    "crew": "supervisor, workers",
    "desk": "client",
    "grown": "load_tree",
    "halted": "workflow_failed",
    "hungry": "starving",
    "judge": "laws",
    "keeper": "session manager",
    "kept": "stored, retained",
    "lane": "queue",
    "letter": "dead_letter",
    "meeting": "fused_version",
    "nobody": "no handler, no worker",
    "parcel": "encoded message",
    "post": "message",
    "press": "event_factory",
    "pressed": "make_events",
    "pulse": "heartbeat",
    "raced": "write_conflict",
    "rehearse": "dry_run",
    "retake": "replay_turn",
    "said": "text, described, encoded",
    "somebody": "a worker, a caller",
    "spoken": "display_name",
    "stray": "unknown_workflow",
    "strand": "task",
    "tally": "recorder, stats",
    "told": "notified, translated",
    "unbury": "redrive",
    "undo": "compensate",
    "undone": "compensated",
    "unsayable": "not_expressible",
    "whoever": "the caller, the worker",
    "wish": "operation",
}
# The words of HTTP, of attrs, of dataclasses and of a browser's keyboard.
ALLOWED: Final = {"__attrs_post_init__", "__post_init__", "post", "post_events", "POST", "press"}

PYTHON = sorted(
    path
    for folder in ("src", "tests", "property_tests", "benchmarks", "docs")
    for path in (ROOT / folder).rglob("*.py")
    if "_build" not in path.parts
)
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md"))]
_BLOCK: Final = re.compile(r"```python\n(.*?)```", re.DOTALL)
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def _names(text: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
            yield token.string


def _forbidden(name: str) -> list[str]:
    # "dead letter" is the field's word, "letter" alone is not.
    if name in ALLOWED:
        return []
    spelled = re.sub(r"dead[-_]?letter(s|ed|ing)?", "", name, flags=re.IGNORECASE)
    words = {word.lower() for word in _WORD.findall(spelled)}
    return sorted(words & _FORMS)


_FORMS: Final = {form for word in FORBIDDEN for form in (word, f"{word}s", f"{word}es")}


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_identifier_of_a_module_is_a_private_word(path: Path) -> None:
    """A reader would have to learn it, and could not search for it."""
    found = {name: _forbidden(name) for name in _names(path.read_text()) if _forbidden(name)}

    assert not found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_snippet_teaches_a_private_word(path: Path) -> None:
    """What a page shows is what users write."""
    snippets = "\n".join(_BLOCK.findall(path.read_text()))
    # With a hyphen: "dead-letter" is a value of `on_error`.
    found = {name for name in re.findall(r"[A-Za-z_][\w-]*", snippets) if _forbidden(name)}

    assert not found
