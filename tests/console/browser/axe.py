"""Axe: checks a page in a browser by the rules of axe-core for WCAG 2.2 AA."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

from playwright.sync_api import Page

# The file of Deque's axe-core that this package brings; its own driver is not used.
SCRIPT: Final = files("axe_playwright_python").joinpath("axe.min.js").read_text()
OPTIONS: Final = {
    "resultTypes": ["violations"],
    # Nothing is loaded from elsewhere.
    "preload": False,
}
EVERY_RULE: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
# What a window's width or a theme may break. The other rules look at elements and attributes.
VISUAL_RULES: Final = (
    "color-contrast",
    "link-in-text-block",
    "scrollable-region-focusable",
    "target-size",
)
# Observers of sizes run before the second frame is painted.
PAINTED: Final = (
    "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))"
)


def find_violations(page: Page, rules: Sequence[str] = EVERY_RULE) -> list[str]:
    """Return each element that breaks one of the rules, with the rule and what to do.

    *rules*: the names of rules, or of kinds of rules.
    """
    page.evaluate(PAINTED)
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(SCRIPT)
    options = {**OPTIONS, "runOnly": list(rules)}
    found = page.evaluate("options => axe.run(document, options)", options)
    return [_describe(rule, node) for rule in found["violations"] for node in rule["nodes"]]


def _describe(rule: dict[str, Any], node: dict[str, Any]) -> str:
    return f"{rule['id']}: {node['html'][:200]}: {node['failureSummary']}"
