"""Drawer: draws charts as SVG, one at a time, in a process of its own."""

import subprocess
import sys
import threading
from importlib.util import find_spec
from typing import Final, final

from attrs import define, field

from arvo.statechart import Drawing

# A drawing takes 1.5 s of a core, and the library holds the interpreter for as long: no page, and
# no worker beside the pages, may wait for that.
_SCRIPT: Final = """
import sys, mermaidx
text = sys.stdin.buffer.read().decode()
sys.stdout.buffer.write(mermaidx.render(text).svg().encode())
"""
# A busy machine is slow; what takes longer than that is no picture to read.
DRAW_SECONDS_MAX: Final = 60.0
DRAWN_MAX: Final = 64
WAITING_MAX: Final = 16


@final
@define(eq=False)
class Drawer:
    """Holds the newest `DRAWN_MAX` drawings by their Mermaid text, and makes those it lacks."""

    _drawn: dict[str, str] = field(factory=dict, init=False)
    _waiting: set[str] = field(factory=set, init=False)
    _turn: threading.Lock = field(factory=threading.Lock, init=False)

    @property
    def can_draw(self) -> bool:
        """Whether the extra `diagram` is installed."""
        return find_spec("mermaidx") is not None

    def find(self, drawing: Drawing) -> str | None:
        """Return the SVG of a drawing, an empty text if that fails; None: ask again later."""
        text = str(drawing)
        svg = self._drawn.get(text)
        if svg is None and text not in self._waiting and len(self._waiting) < WAITING_MAX:
            self._waiting.add(text)
            # No thread of a pool: the end of this process would wait for it.
            threading.Thread(target=self._draw, args=(text,), daemon=True).start()
        return svg

    def _draw(self, text: str) -> None:
        with self._turn:
            self._drawn[text] = _run(text)
            if len(self._drawn) > DRAWN_MAX:
                del self._drawn[next(iter(self._drawn))]
            self._waiting.discard(text)


# Of this process: any number of consoles may show the charts of one system.
drawer: Final = Drawer()


def _run(text: str) -> str:
    try:
        ended = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", _SCRIPT],
            input=text.encode(),
            capture_output=True,
            timeout=DRAW_SECONDS_MAX,
            check=True,
        )
        return ended.stdout.decode()
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return ""
