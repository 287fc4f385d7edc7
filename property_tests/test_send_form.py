"""Laws of the form that sends an event: it holds a payload, and gives the same one back."""

from html.parser import HTMLParser
from typing import Any

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from arvo.console.render import SCRUB, make_environment
from arvo.console.views.sending.form import FormField, make_form, names_field, read_form
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues, join_path
from property_tests.test_console import JSON, TEXTS
from property_tests.test_payloads import payloads

FIELDS = make_environment().from_string(
    """{% import "fields.html" as fields with context %}
{% for it in view %}{{ fields.field(it, loop.index) }}{% endfor %}"""
)


@define
class Browser(HTMLParser):
    """Reads the controls of a form, and posts them as a browser does."""

    posted: dict[str, str] = field(factory=dict)
    _open: str | None = None

    def __attrs_pre_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a control and its value."""
        given = {name: value or "" for name, value in attrs}
        if tag == "input":
            # HTML Living Standard §4.10.5.1.2: the value of a text has no line breaks.
            assert not set(given["value"]) & {"\n", "\r"}
            self.posted[given["name"]] = given["value"]
        elif tag == "select":
            self._open = given["name"]
        elif tag == "option" and self._open is not None:
            is_first = self._open not in self.posted
            if is_first or "selected" in given:
                self.posted[self._open] = given["value"]
        elif tag == "textarea":
            self._open = given["name"]
            self.posted[self._open] = ""

    def handle_endtag(self, tag: str) -> None:
        """End a control."""
        if tag == "textarea" and self._open is not None:
            text = self.posted[self._open].removeprefix("\n")
            self.posted[self._open] = text.replace("\n", "\r\n")
        if tag in ("textarea", "select"):
            self._open = None

    def handle_data(self, data: str) -> None:
        """Add to the text of a control of several lines."""
        if self._open is not None and self.lasttag == "textarea":
            self.posted[self._open] += data


def post(fields: tuple[FormField, ...]) -> dict[str, str]:
    """Print the fields, and return what a browser sends."""
    browser = Browser()
    browser.feed(FIELDS.render({SCRUB: str, "view": fields}))
    browser.close()
    return browser.posted


@given(payloads())
def test_the_form_of_a_payload_gives_the_same_payload_back(generated: tuple[type, Any]) -> None:
    """What is not touched stays as it is, whatever its type and its characters are."""
    cls, instance = generated
    payload: Payload[Any] = Payload.of(cls)
    data = payload.write(instance)
    assert not isinstance(data, Issues)

    fields = make_form(payload.schema, data)
    assert fields is not None
    posted = post(fields)
    again = read_form(payload.schema, posted)
    assert not isinstance(again, Issues)
    read = payload.read(again)

    assert not isinstance(read, Issues)
    assert payload.write(read) == data
    # Shown again, with what is wrong, it is still the same.
    shown = make_form(payload.schema, {}, posted=posted)
    assert shown is not None
    assert post(shown) == posted


@given(payloads(), st.dictionaries(TEXTS, TEXTS, max_size=4), st.data())
def test_any_text_in_a_control_is_read_or_refused(
    generated: tuple[type, Any], more: dict[str, str], data: st.DataObject
) -> None:
    """A person may type anything, and a program may post anything."""
    payload: Payload[Any] = Payload.of(generated[0])
    schema = payload.schema
    kinds = ("text", "number", "json")
    names = [f"{kind}:{key}" for kind in kinds for key in schema["properties"]]
    texts = data.draw(st.dictionaries(st.sampled_from(names), TEXTS)) if names else {}

    content = read_form(schema, {**more, **texts})
    shown = make_form(schema, {}, posted={**more, **texts})

    assert isinstance(content, Issues) or isinstance(payload.read(content), object)
    assert shown is None or len({it.label for it in shown}) == len(shown)


@given(st.text(min_size=1), st.text(min_size=1), JSON)
def test_an_issue_stands_next_to_its_field_alone(key: str, other: str, value: Any) -> None:
    """Also where one name begins like another one."""
    path = join_path("data", key)

    assert names_field(path, key)
    assert names_field(join_path(path, "inner", 2), key)
    assert names_field(path, other) == (join_path("data", other) == path)
    assert not names_field("data", key)
