"""Send: the form of an event in a real browser, which checks it while a person types."""

from typing import Final

from playwright.sync_api import expect

from tests.console.browser.tab import Tab

FORM: Final = "/send?contract=%23%2Forchestrators%2Fturns%2F1.0.0"


def test_what_is_typed_is_checked_and_what_was_sent_is_shown(tab: Tab) -> None:
    """The reason stands next to the field, and the place in it is not lost."""
    tab.go(FORM)
    amount = tab.page.get_by_label("amount")
    errors = tab.page.locator("form .error")

    amount.fill("five")
    expect(errors.nth(0)).to_contain_text("data.amount: expected a number, got 'five'")
    expect(amount).to_be_focused()
    amount.fill("5")
    expect(errors.nth(0)).to_be_empty()
    tab.page.get_by_label("note").fill("typed <b>")
    tab.page.get_by_text("Workflow id and attributes").click()
    tab.page.get_by_label("Workflow id it begins").fill("typed-1")
    tab.page.get_by_role("button", name="Send and wait").click()

    expect(tab.page.get_by_role("heading", level=1)).to_have_text("typed-1")
    expect(tab.page.get_by_text("The event was sent.")).to_be_visible()
    expect(tab.page.locator(".status").first).to_contain_text("done")
