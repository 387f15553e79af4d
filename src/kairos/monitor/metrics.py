"""Findings as Prometheus reads them: gauges that are there as long as the finding is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from kairos.monitor.findings import LEVELS, Finding

__all__ = ["render"]

_LABELS = ["model", "version", "check", "column"]


def render(findings: Mapping[str, Iterable[Finding]], drift: Mapping[str, Mapping[str, float]] | None = None) -> str:
    """Writes the latest look at each model in Prometheus' text format.

    Args:
        findings: By model, as ``Monitor.look`` gives them; at most one of a check and column each.
        drift: By model and input, the population stability index, as ``window_drift`` gives it.

    Examples:
        >>> print(render({}, {"demand": {"temp": 0.31}}).splitlines()[-1])
        kairos_drift_psi{column="temp",model="demand"} 0.31
    """
    registry = CollectorRegistry()
    value = Gauge("kairos_finding_value", "What was found, in the unit of its threshold.", _LABELS, registry=registry)
    threshold = Gauge("kairos_finding_threshold", "What the policy tolerates.", _LABELS, registry=registry)
    level = Gauge("kairos_finding_level", "1 is info, 2 warn, 3 alarm.", _LABELS, registry=registry)
    rows = Gauge("kairos_finding_rows", "Predictions that the finding rests on.", _LABELS, registry=registry)
    psi = Gauge(
        "kairos_drift_psi", "Stability index of an input since training.", ["model", "column"], registry=registry
    )
    for model, found in findings.items():
        for finding in found:
            labels = (model, str(finding.version), finding.check, finding.column or "")
            value.labels(*labels).set(finding.value)
            threshold.labels(*labels).set(finding.threshold)
            level.labels(*labels).set(LEVELS.index(finding.level) + 1)
            rows.labels(*labels).set(finding.rows)
    for model, columns in (drift or {}).items():
        for column, distance in columns.items():
            psi.labels(model, column).set(distance)
    return generate_latest(registry).decode()
