"""Signatures: how the reference shows the parameters of a function or class.

Types appear as the source writes them, so that an alias such as `HandlerFunction` keeps its name.
Defaults appear by value.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import attrs

# A longer default is shown by its name.
VALUE_CHARACTERS_MAX: Final = 40
# A class, which the types of attrs call a function.
_FACTORY: Final[Any] = attrs.Factory
_HIDDEN: Final = ("self", "cls")


class Parameter(NamedTuple):
    """One parameter, as text: the type and the default are empty where there is none."""

    name: str
    type: str
    default: str
    kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD

    def __str__(self) -> str:
        stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
        text = stars.get(self.kind, "") + self.name + (self.type and f": {self.type}")
        return f"{text} = {self.default}" if self.default else text


def signature_of(candidate: object) -> tuple[str, str] | None:
    """Return the parameters of a function or class, and what it returns ("" for a class).

    None where the source shows none, such as for an enumeration.
    """
    if getattr(candidate, "_is_protocol", False):
        return "", ""
    if not inspect.isclass(candidate):
        function = inspect.unwrap(getattr(candidate, "__func__", candidate))  # type: ignore[arg-type]
        return _of_function(function) if inspect.isfunction(function) else None
    own = vars(candidate).get("__init__")
    is_written = inspect.isfunction(own) and not own.__code__.co_filename.startswith("<")
    if is_written and (found := _of_function(own)) is not None:
        return found[0], ""
    return (_join(_fields(candidate)), "") if attrs.has(candidate) else None


def _of_function(function: Any) -> tuple[str, str] | None:
    node = _parse(function)
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    scope = getattr(function, "__globals__", {})
    return _join(_parameters(node.args, scope)), _type(node.returns)


def _parse(candidate: Any) -> ast.stmt | None:
    try:
        source = textwrap.dedent(inspect.getsource(candidate))
    except (OSError, TypeError):
        # attrs makes an `__init__` that has no file.
        return None
    return ast.parse(source).body[0]


def _parameters(arguments: ast.arguments, scope: Mapping[str, Any]) -> Iterator[Parameter]:
    kinds = inspect.Parameter
    positional = [*arguments.posonlyargs, *arguments.args]
    padding: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    defaults = [*padding, *arguments.defaults]
    for position, (it, default) in enumerate(zip(positional, defaults, strict=True)):
        if position == 0 and it.arg in _HIDDEN:
            continue
        is_only = position < len(arguments.posonlyargs)
        kind = kinds.POSITIONAL_ONLY if is_only else kinds.POSITIONAL_OR_KEYWORD
        yield Parameter(it.arg, _type(it.annotation), _default(default, scope), kind)
    if (rest := arguments.vararg) is not None:
        yield Parameter(rest.arg, _type(rest.annotation), "", kinds.VAR_POSITIONAL)
    for it, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield Parameter(it.arg, _type(it.annotation), _default(default, scope), kinds.KEYWORD_ONLY)
    if (options := arguments.kwarg) is not None:
        yield Parameter(options.arg, _type(options.annotation), "", kinds.VAR_KEYWORD)


def _fields(kind: type) -> Iterator[Parameter]:
    """Yield the parameters that attrs makes of the fields of a class and its bases."""
    types = _field_types(kind)
    for field in attrs.fields(kind):
        if not field.init or field.name.startswith("_"):
            continue
        where = inspect.Parameter
        place = where.KEYWORD_ONLY if field.kw_only else where.POSITIONAL_OR_KEYWORD
        default = "" if field.default is attrs.NOTHING else _value(field.default, field.name)
        taken = _taken_by(field.converter) or types.get(field.name, "")
        yield Parameter(field.alias or field.name, taken, default, place)


def _taken_by(converter: object) -> str:
    """Return the type that the converter of a field takes; "" where there is none to see."""
    node = _parse(converter) if inspect.isfunction(converter) else None
    if not isinstance(node, ast.FunctionDef) or not node.args.args:
        return ""
    taken = _type(node.args.args[0].annotation)
    return "" if taken in ("Any", "object") else taken


def _field_types(kind: type) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        body = _parse(base) if attrs.has(base) else None
        for node in body.body if isinstance(body, ast.ClassDef) else ():
            match node:
                case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                    found[name] = _type(annotation)
                case _:
                    pass
    return found


def _type(annotation: ast.expr | None) -> str:
    if annotation is None:
        return ""
    return ast.unparse(_Readable().visit(annotation))


class _Readable(ast.NodeTransformer):
    """Removes the quotes of an annotation, and the module of a builtin."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, str):
            return node
        inner: ast.expr = self.visit(ast.parse(node.value, mode="eval").body)
        return inner

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        # The strings of a Literal are values.
        if ast.unparse(node.value) == "Literal":
            return node
        node.value, node.slice = self.visit(node.value), self.visit(node.slice)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        match node:
            case ast.Attribute(value=ast.Name(id="builtins"), attr=name):
                return ast.Name(name)
            case _:
                return node


def _default(default: ast.expr | None, scope: Mapping[str, Any]) -> str:
    match default:
        case None:
            return ""
        case ast.Name(id=name) if name.isupper() and name in scope:
            return _value(scope[name], name)
        case _:
            return ast.unparse(default)


def _value(value: Any, name: str) -> str:
    """Return a default as Python; *name* where its value is not shorter, or cannot be written."""
    fallback = name if name.isupper() else "..."
    if isinstance(value, _FACTORY):
        return repr(value.factory()) if value.factory in (dict, list, set, tuple) else fallback
    if isinstance(value, Mapping) and not value:
        return "{}"
    if callable(value):
        written = getattr(value, "__name__", "")
        return written if written.isidentifier() else fallback
    text = repr(value).replace("datetime.timedelta", "timedelta")
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        return fallback
    return text if len(text) <= VALUE_CHARACTERS_MAX else fallback


def _join(parameters: Iterator[Parameter]) -> str:
    kinds, shown = inspect.Parameter, list[str]()
    previous: Any = None
    listed = list(parameters)
    # attrs allows positional fields after those by keyword.
    ordered = sorted(listed, key=lambda it: it.kind if it.kind != kinds.POSITIONAL_ONLY else -1)
    has_star = any(it.kind == kinds.VAR_POSITIONAL for it in ordered)
    for it in ordered:
        if previous == kinds.POSITIONAL_ONLY != it.kind:
            shown.append("/")
        if it.kind == kinds.KEYWORD_ONLY and previous != it.kind and not has_star:
            shown.append("*")
        shown.append(str(it))
        previous = it.kind
    if previous == kinds.POSITIONAL_ONLY:
        shown.append("/")
    return f"({', '.join(shown)})"
