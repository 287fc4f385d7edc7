"""Axe: checks a page in a browser by the rules of axe-core for WCAG 2.2 AA."""

from importlib.resources import files
from typing import Any, Final

from playwright.sync_api import Page

# The file of Deque's axe-core that this package brings; its own driver is not used.
SCRIPT: Final = files("axe_playwright_python").joinpath("axe.min.js").read_text()
OPTIONS: Final = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
    # Nothing is loaded from elsewhere.
    "preload": False,
}
# Observers of sizes run before the second frame is painted.
PAINTED: Final = (
    "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))"
)


def find_violations(page: Page) -> list[str]:
    """Return each element that breaks a rule, with the rule and what to do."""
    page.evaluate(PAINTED)
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(SCRIPT)
    found = page.evaluate("options => axe.run(document, options)", OPTIONS)
    return [_describe(rule, node) for rule in found["violations"] for node in rule["nodes"]]


def _describe(rule: dict[str, Any], node: dict[str, Any]) -> str:
    return f"{rule['id']}: {node['html'][:200]}: {node['failureSummary']}"
