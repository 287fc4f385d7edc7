"""Printable: foreign text as visible characters, for logs, terminals and drawings.

Ids, payloads and error messages of other programs may hold line breaks that forge a log line,
escape codes that move the cursor of a terminal, and bidirectional controls that show a text in
another order. They are stored and sent as they are, and escaped where a person reads them.
"""

from typing import Final

# A continued line is indented, so that no text can begin a line of its own.
INDENT: Final = "    "


def printable(text: str, characters_max: int | None = None) -> str:
    r"""Return *text* on one line: each character that is not visible becomes its escape sequence.

    These are the characters that `str.isprintable` refuses: control and format characters, line and
    paragraph separators, spaces other than U+0020, lone surrogates, and unassigned code points. A
    text longer than *characters_max* loses its end.

    >>> print(printable("e1\n\x1b[2J\u202ecod é"))
    e1\n\x1b[2J\u202ecod é
    """
    if characters_max is not None and len(text) > characters_max:
        # An escape sequence has at most ten characters, so no more of the text is needed.
        text = text[: characters_max + 1]
    if not text.isprintable():
        text = "".join(map(_escape, text))
    if characters_max is None or len(text) <= characters_max:
        return text
    return f"{text[: characters_max - 1]}…"


def printable_lines(text: str) -> str:
    r"""Return *text* with its line breaks, and all other characters as `printable` does.

    For text whose line breaks are our own, such as a drawing.

    >>> print(printable_lines("├── e1\n└── \x1b]0;title"))
    ├── e1
    └── \x1b]0;title
    """
    return "\n".join(map(printable, text.split("\n")))


def printable_block(text: str) -> str:
    r"""Return *text* as one entry of a log: a line, and below it indented lines.

    For text whose line breaks may be foreign. No line but the first begins at the margin.

    >>> print(printable_block("it failed\nERROR forged"))
    it failed
        ERROR forged
    """
    first, *rest = map(printable, text.split("\n"))
    return "\n".join(
        [first, *(line if line.startswith(INDENT) else INDENT + line for line in rest)]
    )


def printable_json(text: str) -> str:
    r"""Return JSON text with the same value, in which all characters are visible.

    JSON's own writers escape only the control characters below U+0020.

    >>> print(printable_json('{"id": "\u202e\x9b"}'))
    {"id": "\u202e\u009b"}
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape_json(c) for c in text)


def _escape_json(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")
