"""Laws of what if: an event comes back from its form as it was, and its secrets stay."""

from hypothesis import given
from hypothesis import strategies as st

from arvo.console.views.secrets import SCRUBBED_CHARACTERS_MIN, Redaction
from arvo.console.views.workflow.what_if import edit_event, event_text
from arvo.core.events.event import Event
from arvo.engine.system.schemas import Schemas
from tests.console.stores import Order, system, turns

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
# Long enough to be looked for everywhere, and in no other word of the page.
SECRETS = TEXTS.map(lambda text: f"geheim{text}{'x' * SCRUBBED_CHARACTERS_MIN}")


@given(TEXTS, TEXTS, SECRETS, st.integers(0, 3))
def test_an_event_comes_back_from_its_form_as_it_was(
    before: str, after: str, secret: str, copies: int
) -> None:
    """A value as it was shown is the value that it had, also where a secret was copied."""
    note = before + secret * copies + after
    event = turns["1.0.0"].init(Order(1.5, note, secret), source="com.shop.web")
    redaction = Redaction(Schemas.of(system), shows_data=True)

    text = event_text(event, redaction)

    assert "geheim" not in text
    assert text.isascii()
    edited = edit_event(event, text, redaction)
    assert isinstance(edited, Event)
    assert edited.to_dict() == event.to_dict()
