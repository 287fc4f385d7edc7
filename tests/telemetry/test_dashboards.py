"""Dashboards: the metrics of docs/deploy/grafana.json and alerts.yaml are those that we export."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import yaml
from opentelemetry.metrics import NoOpMeter
from promql_parser import AggregateExpr, BinaryExpr, Expr, VectorSelector, parse, walk

from arvo.telemetry.conventions import names
from arvo.telemetry.metrics.gauges import GaugeInstruments
from arvo.telemetry.metrics.instruments import Metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
DASHBOARD: Final[dict[str, Any]] = json.loads((DEPLOY / "grafana.json").read_text())
RULES: Final[list[dict[str, Any]]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
# The columns of a dashboard.
COLUMNS: Final = 24


class Exported(NoOpMeter):
    """A meter that collects the names of its instruments, as Prometheus spells them.

    OpenTelemetry's specification, "Prometheus and OpenMetrics compatibility": dots become
    underscores, a unit is a suffix unless it is an annotation in braces, and a monotonic sum ends
    in `_total`.
    """

    def __init__(self) -> None:
        super().__init__("arvo")
        # By name: the names of the series that it has in Prometheus.
        self.series: dict[str, set[str]] = {}

    def create_observable_counter(self, name: str, *arguments: Any, **options: Any) -> Any:
        self.series[name] = {f"{_spelled(name)}_total"}
        return super().create_observable_counter(name, *arguments, **options)

    def create_histogram(self, name: str, unit: str = "", *arguments: Any, **options: Any) -> Any:
        assert unit == "s"
        self.series[name] = {f"{_spelled(name)}_seconds_{it}" for it in ("bucket", "count", "sum")}
        return super().create_histogram(name, unit, *arguments, **options)

    def create_observable_gauge(self, name: str, *arguments: Any, **options: Any) -> Any:
        self.series[name] = {_spelled(name)}
        return super().create_observable_gauge(name, *arguments, **options)

    def create_observable_up_down_counter(self, name: str, *arguments: Any, **options: Any) -> Any:
        self.series[name] = {_spelled(name)}
        return super().create_observable_up_down_counter(name, *arguments, **options)


def _spelled(name: str) -> str:
    return name.replace(".", "_")


def exported() -> dict[str, set[str]]:
    """Return the series of each metric that a process exports."""
    meter = Exported()
    Metrics(meter)
    GaugeInstruments(meter)
    return meter.series


def expressions() -> list[str]:
    """Return the expressions of the dashboard, and those of the rules."""
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [*panels, *(rule["expr"] for rule in RULES)]


def variables() -> list[str]:
    """Return the series and the label of each variable that Grafana fills from a metric."""
    defined = [it["definition"] for it in DASHBOARD["templating"]["list"] if "definition" in it]
    return [name for text in defined for name in re.findall(r"(\w+)[,)]", text)]


def parsed() -> tuple[set[str], set[str]]:
    """Return the series and the labels in all expressions, as Prometheus reads them."""
    series, labels = set[str](), set[str]()

    def visit(part: Expr) -> None:
        match part:
            case VectorSelector():
                series.add(part.name or "")
                labels.update(matcher.name for matcher in part.matchers.matchers)
            case AggregateExpr() if part.modifier is not None:
                labels.update(part.modifier.labels)
            case BinaryExpr() if part.modifier is not None and part.modifier.matching is not None:
                labels.update(part.modifier.matching.labels)

    for text in expressions():
        # Grafana puts a time in the place of this variable.
        walk(parse(text.replace("$__rate_interval", "5m")), visit)
    return series, labels


def test_every_series_of_a_dashboard_or_a_rule_is_exported() -> None:
    """A rule on a name that is misspelled is silent when it should not be."""
    series, _ = parsed()

    assert series | {variables()[0]} <= set().union(*exported().values())


def test_the_dashboard_shows_every_metric() -> None:
    """One that no panel shows is found by no operator."""
    shown, _ = parsed()

    assert [name for name, series in exported().items() if not series & shown] == []


def test_every_label_is_an_attribute_of_ours() -> None:
    """As the metrics, in the spelling of Prometheus."""
    attributes = {_spelled(value) for value in vars(names).values() if isinstance(value, str)}
    _, labels = parsed()

    assert (labels | {variables()[1]}) - {"le"} <= attributes
    assert {"messaging_destination_name", "arvo_state", "arvo_outcome"} <= labels


def test_an_alert_compares_with_a_bound() -> None:
    """One that is only an expression fires for every value that there is."""
    for rule in RULES:
        expression = parse(rule["expr"])
        assert isinstance(expression, BinaryExpr), rule["alert"]
        assert str(expression.op) in {">", "<", "==", "unless"}, rule["alert"]


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    """The parts of its schema that a person gets wrong: ids, places and data sources."""
    panels = DASHBOARD["panels"]
    known = {it["name"] for it in DASHBOARD["templating"]["list"]}

    assert DASHBOARD["title"]
    assert DASHBOARD["uid"]
    assert isinstance(DASHBOARD["schemaVersion"], int)
    assert known == {"datasource", "destination"}
    assert Counter(panel["id"] for panel in panels).most_common(1)[0][1] == 1
    for panel in panels:
        assert panel["type"] in {"stat", "timeseries"}
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) > 0
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(it == {"type": "prometheus", "uid": "${datasource}"} for it in sources)
    used_variables = set(re.findall(r"\$(\w+)", " ".join(expressions())))
    assert used_variables <= {*known, "__rate_interval"}


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    """Grafana would move them."""
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]

    assert all(place["x"] + place["w"] <= COLUMNS for place in places)
    assert not [(a, b) for a, b in combinations(places, 2) if _overlap(a, b)]


def _overlap(a: dict[str, int], b: dict[str, int]) -> bool:
    return all(
        a[axis] < b[axis] + b[size] and b[axis] < a[axis] + a[size]
        for axis, size in (("x", "w"), ("y", "h"))
    )


def test_every_rule_has_a_severity_a_summary_and_a_page() -> None:
    """The operator who is woken by it has to know what to do."""
    assert len({rule["alert"] for rule in RULES}) == len(RULES) > 0
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        [page] = re.findall(r"docs/[\w-]+\.md", rule["annotations"]["description"])
        assert (ROOT / page).exists()
