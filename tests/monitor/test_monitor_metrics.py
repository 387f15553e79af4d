"""What Prometheus sees of a look."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from kairos.monitor.findings import Finding
from kairos.monitor.metrics import render
from kairos.values import Window


def samples(text: str) -> dict[str, dict[str, float]]:
    """Value by metric and by check or column."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = f"{sample.labels.get('check', '')}/{sample.labels['column']}"
            found.setdefault(sample.name, {})[name] = sample.value
    return found


def test_each_finding_is_a_value_a_threshold_and_a_level() -> None:
    """An alarm is 3; a column's name may hold anything."""
    finding = Finding(
        check="input_drift",
        level="alarm",
        column='odd "name"\n',
        value=0.4,
        lower=0.3,
        upper=0.5,
        threshold=0.25,
        window=Window.parse("2012-01-01..2012-01-07"),
        rows=168,
        sentence="Moved.",
        version=3,
    )
    found = samples(render({"demand": [finding]}, {"demand": {"temp": 0.02}}))
    name = 'input_drift/odd "name"\n'
    assert found["kairos_finding_value"] == {name: 0.4}
    assert found["kairos_finding_threshold"] == {name: 0.25}
    assert found["kairos_finding_level"] == {name: 3.0}
    assert found["kairos_finding_rows"] == {name: 168.0}
    assert found["kairos_drift_psi"] == {"/temp": 0.02}


def test_nothing_found_is_no_sample() -> None:
    """A finding that is over leaves no gauge behind."""
    assert samples(render({"demand": []})) == {}
