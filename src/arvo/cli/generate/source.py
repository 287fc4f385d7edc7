"""Source: expressions of Python, and their layout."""

from typing import Any, Final, TypeAlias, final

from attrs import frozen

from arvo.printable import printable

LINE_CHARACTERS_MAX: Final = 88


@final
@frozen
class Items:
    """An expression with items in brackets, such as a call or a dict.

    *items* are pairs of what stands before an item, such as a key or a keyword, and the item.
    """

    head: str
    brackets: str
    items: tuple[tuple[str, "Expression"], ...]


Expression: TypeAlias = str | Items


def call(name: str, /, *arguments: Expression, **keywords: Expression) -> Items:
    """Return a call."""
    named = tuple((f"{key}=", value) for key, value in keywords.items())
    return Items(name, "()", (*(("", argument) for argument in arguments), *named))


def subscript(name: str, *items: Expression) -> Items:
    """Return a type with arguments."""
    return Items(name, "[]", tuple(("", item) for item in items))


def literal(value: Any) -> Expression:
    """Return the expression of a JSON value."""
    if isinstance(value, dict):
        return Items("", "{}", tuple((f"{quote(k)}: ", literal(v)) for k, v in value.items()))
    if isinstance(value, list):
        return Items("", "[]", tuple(("", literal(item)) for item in value))
    # Formatters write an exponent without its plus.
    return quote(value) if isinstance(value, str) else repr(value).replace("e+", "e")


def quote(text: str) -> str:
    """Return a string in double quotes, where that needs no more escapes."""
    written = repr(text)
    if written.startswith("'") and '"' not in written:
        return f'"{written[1:-1]}"'
    return written


def flat(expression: Expression) -> str:
    """Return an expression on one line."""
    if isinstance(expression, str):
        return expression
    items = ", ".join(f"{before}{flat(item)}" for before, item in expression.items)
    return f"{expression.head}{expression.brackets[0]}{items}{expression.brackets[1]}"


def layout(before: str, expression: Expression, indent: int = 0, after: str = "") -> str:
    """Return *before*, the expression and *after*, on several lines where one is too long."""
    line = f"{' ' * indent}{before}{flat(expression)}{after}"
    if isinstance(expression, str) or not expression.items or len(line) <= LINE_CHARACTERS_MAX:
        return line
    start, end = expression.brackets[0], expression.brackets[1]
    # A comma after the only item of a subscript would make it a tuple.
    is_subscript = expression.head and start == "[" and len(expression.items) == 1
    comma = "" if is_subscript else ","
    lines = [layout(name, item, indent + 4, comma) for name, item in expression.items]
    head, tail = f"{' ' * indent}{before}{expression.head}{start}", f"{' ' * indent}{end}{after}"
    return "\n".join([head, *lines, tail])


def docstring(text: str) -> str | None:
    """Return *text* as a docstring; what a reader could not see in it is escaped.

    Returns None for one of which Python or a formatter would take white space.
    """
    if text != text.strip() or any(line != line.rstrip() for line in text.split("\n")):
        return None
    text = text.replace("\\", "\\\\")
    if '"""' in text or text.endswith('"'):
        text = text.replace('"', '\\"')
    first, *rest = map(printable, text.split("\n"))
    body = "\n".join(["", *(f"    {line}" if line else "" for line in rest)])
    end = f"{body}\n    " if rest else ""
    return f'    """{first}{end}"""\n'
