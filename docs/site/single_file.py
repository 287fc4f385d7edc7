"""Single file: all pages as one Markdown file, and `llms.txt` as its table of contents.

See https://llmstxt.org for the form.
"""

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from attrs import define
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from docs.site.public import public_names
from docs.site.signatures import signature_of

WHOLE: Final = "arvo.md"
CONTENTS: Final = "llms.txt"
_TOCTREE: Final = re.compile(r"^```\{toctree\}\n.*?^```\n", re.MULTILINE | re.DOTALL)
_REFERENCE: Final = re.compile(r"^```\{eval-rst\}\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_CODE: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_FENCE: Final = re.compile(r"^:{3,}.*\n", re.MULTILINE)
_INCLUDED: Final = re.compile(r"^```\{literalinclude\} (\S+)\n:language: (\w+)\n```$", re.MULTILINE)
_DIRECTIVE: Final = re.compile(r"^\.\. (?:auto(\w+)|(currentmodule)|py:(data)):: (\S+)$")


def write(app: Sphinx, error: Exception | None) -> None:
    """Write both files beside the pages, once they are built."""
    if error is not None or app.builder.format != "html":
        return
    pages = [(name, _read(app.env, name)) for name in _in_order(app.env, app.config.root_doc)]
    whole = "\n\n".join(text for _, text in pages)
    (app.outdir / WHOLE).write_text(whole, encoding="utf-8")
    lines = (f"- [{_title(text)}]({name}.html): {_summary(text)}" for name, text in pages[1:])
    title, summary = _title(pages[0][1]), _summary(pages[0][1])
    contents = f"# {title}\n\n> {summary}\n\nAll pages in one file: [{WHOLE}]({WHOLE})\n\n"
    body = "## Pages\n\n" + "\n".join(lines) + "\n"
    (app.outdir / CONTENTS).write_text(contents + body, encoding="utf-8")


def _in_order(env: BuildEnvironment, name: str) -> Iterator[str]:
    yield name
    for below in env.toctree_includes.get(name, ()):
        yield from _in_order(env, below)


def _read(env: BuildEnvironment, name: str) -> str:
    text = Path(env.doc2path(name)).read_text(encoding="utf-8")
    if "```{include}" in text:
        # The changelog stands outside of the pages.
        text = (Path(env.srcdir).parent / "CHANGELOG.md").read_text(encoding="utf-8")
    text = _FENCE.sub("", _TOCTREE.sub("", text))
    text = _INCLUDED.sub(lambda match: _include(env, *match.groups()), text)
    reference = _Reference()
    return _REFERENCE.sub(lambda match: "\n".join(reference.describe(match[1])), text).strip()


def _include(env: BuildEnvironment, path: str, language: str) -> str:
    content = (Path(env.srcdir) / path).read_text(encoding="utf-8").rstrip()
    return f"```{language}\n{content}\n```"


def _title(text: str) -> str:
    return text.partition("\n")[0].lstrip("# ")


def _summary(text: str) -> str:
    """Return the first sentence below the title."""
    prose = _CODE.sub("", text)
    paragraphs = (it.strip() for it in prose.split("\n\n")[1:])
    first = next((it for it in paragraphs if it[:1].isalpha()), "")
    sentence = re.split(r"(?<=[.:])\s", " ".join(first.split()), maxsplit=1)[0]
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", sentence)


@define
class _Reference:
    """Reads the directives of a reference page; *module* is the one that they named last."""

    module: str = "arvo"

    def describe(self, block: str) -> Iterator[str]:
        """Yield what the directives of a block show: signatures and docstrings."""
        for line in block.splitlines():
            directive = _DIRECTIVE.match(line)
            if directive is None:
                if line and not line.lstrip().startswith((":", ".. ")):
                    yield line.strip()
            elif directive[2]:
                self.module = directive[4]
            elif directive[1] == "module":
                for (package, name), candidate in public_names().items():
                    if package == directive[4]:
                        yield from _document(name, candidate)
            elif directive[3]:
                yield f"\n`{directive[4]}`\n"
            else:
                package, _, name = directive[4].rpartition(".")
                module = importlib.import_module(package or self.module)
                yield from _document(name, getattr(module, name))


def _document(name: str, candidate: Any) -> Iterator[str]:
    parameters, returns = signature_of(candidate) or ("", "")
    arrow = f" -> {returns}" if returns else ""
    yield f"\n`{name}{parameters}{arrow}`\n\n{inspect.getdoc(candidate) or ''}\n"
    if inspect.isclass(candidate):
        yield from _methods(name, candidate)


def _methods(owner: str, candidate: type) -> Iterator[str]:
    for name, value in vars(candidate).items():
        function = getattr(value, "__func__", value)
        if name.startswith("_") or not inspect.isfunction(function) or not function.__doc__:
            continue
        parameters, returns = signature_of(function) or ("", "")
        yield f"- `{owner}.{name}{parameters} -> {returns}`: {inspect.getdoc(function)}"
