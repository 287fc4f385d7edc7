"""Labels: short names and values of a workflow, by which lists select it."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final, TypeAlias

from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.payloads.json_data import INTEGER_EXPECTED, INTEGER_MAX, INTEGER_MIN
from arvo.core.violations.issue import Issue, Issues, short_repr

Label: TypeAlias = str | int | float | bool
# From a workflow's state to its labels; a None is no label.
LabelFunction: TypeAlias = Callable[[Any], Mapping[str, Label | None]]

# As many as Temporal allows of one kind of search attribute, and values that fit a line of a list.
LABELS_MAX: Final = 16
NAME_CHARACTERS_MAX: Final = 63
VALUE_CHARACTERS_MAX: Final = 255


def read_labels(value: object) -> FrozenDict | Issues:
    """Return labels as they are stored: those whose value is None are left out.

    >>> dict(read_labels({"customer": "ann", "paid": True, "coupon": None}))
    {'customer': 'ann', 'paid': True}
    """
    if not isinstance(value, Mapping):
        return Issues((Issue("labels", "a mapping of names to values", short_repr(value)),))
    labels = {name: label for name, label in value.items() if label is not None}
    if not labels:
        return EMPTY
    issues = [issue for name, label in labels.items() for issue in _issues(name, label)]
    if len(labels) > LABELS_MAX:
        issues.append(Issue("labels", f"at most {LABELS_MAX} labels", f"{len(labels)}"))
    if issues:
        return Issues(tuple(issues))
    return FrozenDict({str.__str__(name): _plain(label) for name, label in labels.items()})


def _plain(label: Label) -> Label:
    """Return a label as JSON has it: the text of a member of a `str` enum is another one."""
    match label:
        case bool():
            return label
        case int():
            return int(label)
        case float():
            return float(label)
        case str():
            return str.__str__(label)


def _issues(name: object, label: Any) -> "list[Issue]":
    issues = []
    if not (
        isinstance(name, str)
        and 0 < len(name) <= NAME_CHARACTERS_MAX
        and name.isprintable()
        and "=" not in name
    ):
        expected = f"a name of 1 to {NAME_CHARACTERS_MAX} printable characters without '='"
        issues.append(Issue("labels", expected, short_repr(name)))
    if wanted := _expected(label):
        issues.append(Issue(f"labels.{name}", wanted, short_repr(label)))
    return issues


def _expected(label: Any) -> str | None:
    """Return what a value should be that is no label; None for one that is."""
    scalar = f"a string, number or boolean of at most {VALUE_CHARACTERS_MAX} characters"
    match label:
        case str():
            if len(label) > VALUE_CHARACTERS_MAX:
                return scalar
            return None if label.isprintable() else "printable characters"
        case int():
            # A store writes them as JSON, and another one would end the worker.
            return None if INTEGER_MIN <= label <= INTEGER_MAX else INTEGER_EXPECTED
        case float():
            if not isfinite(label):
                return "a finite number"
            return None if len(label_text(label)) <= VALUE_CHARACTERS_MAX else scalar
        case _:
            return scalar


def label_text(label: Label) -> str:
    """Return the text by which a value is compared, also with one from a shell or a URL.

    >>> label_text(True), label_text(5), label_text(2.0), label_text("5")
    ('true', '5', '2', '5')
    """
    match label:
        case bool():
            return "true" if label else "false"
        case float() if label.is_integer():
            return str(int(label))
        case _:
            return str(label)


def label_lines(labels: Mapping[str, Label]) -> str:
    """Return labels as text in which a store finds `label_line`; "" for none.

    >>> label_lines({"customer": "ann", "paid": True})
    '\\ncustomer=ann\\npaid=true\\n'
    """
    lines = "".join(f"{name}={label_text(label)}\n" for name, label in labels.items())
    return f"\n{lines}" if lines else ""


def label_line(name: str, label: Label) -> str:
    """Return one label as `label_lines` has it."""
    return f"\n{name}={label_text(label)}\n"
