"""A finding in two sentences that need no statistics: what is seen, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from kairos.monitor.findings import Check, Finding

__all__ = ["finding_words"]


def finding_words(finding: Finding) -> tuple[str, str]:
    """What is seen, and what follows from it."""
    return _SEEN[finding.check](finding), _follows(finding)


def _follows(finding: Finding) -> str:
    if finding.is_seasonal:
        return "A year ago it was much the same, so nothing is done."
    if finding.check in _FOLLOWS:
        return _FOLLOWS[finding.check]
    if finding.level == "alarm":
        return "That is proven, and the loop looks whether a new model would help; kairos why says what changed first."
    return "It is worth a look, and nothing is done because of it."


def _quality(finding: Finding) -> str:
    down = "" if finding.level == "alarm" else ", but it has come down again"
    return (
        f"Since {_since(finding)} version {finding.version} has had a mean loss of {finding.value:.4g}, where at most "
        f"{finding.threshold:.4g} is tolerated{down}."
    )


def _bias(finding: Finding) -> str:
    is_high = finding.value > 0
    bound = finding.lower if is_high else finding.upper
    way, of = "high" if is_high else "low", "" if finding.column is None else f" for {finding.column}"
    size = abs(finding.value if bound is None else bound)
    return (
        f"Since {_since(finding)} the answers of version {finding.version}{of} have been too {way} by at least "
        f"{size:.4g} on average, where {finding.threshold:.4g} is tolerated."
    )


def _estimated(finding: Finding) -> str:
    return (
        f"Before all labels are in, version {finding.version} seems to have a mean loss of {finding.value:.4g} since "
        f"{_since(finding)}, where {finding.threshold:.4g} is tolerated."
    )


def _impossible(finding: Finding) -> str:
    share = _percent(finding.value)
    return f"{share} of the answers of version {finding.version} since {_since(finding)} were outside what is possible."


def _missing(finding: Finding) -> str:
    share = _percent(finding.value)
    return (
        f"The input {finding.column} is missing in {share} of the requests since {_since(finding)}, far more often "
        "than in training."
    )


def _drift(finding: Finding) -> str:
    kind = "input" if finding.check == "input_drift" else "output"
    what = "The answers no longer look" if finding.column is None else f"The {kind} {finding.column} no longer looks"
    return f"{what} as in training, seen on {finding.rows:,} requests since {_since(finding)}."


def _severity(finding: Finding) -> str:
    return f"Inputs that version {finding.version} relies on no longer look as in training."


def _labels(finding: Finding) -> str:
    what = "belong to no request that is known" if finding.check == "unmatched_labels" else "cannot be true"
    return f"{_percent(finding.value)} of the labels that came since {_since(finding)} {what}."


def _split(finding: Finding) -> str:
    return "Requests do not reach the two versions on trial as they were drawn."


_SEEN: Mapping[Check, Callable[[Finding], str]] = MappingProxyType(
    {
        "quality": _quality,
        "prediction_bias": _bias,
        "estimated_quality": _estimated,
        "impossible_values": _impossible,
        "missing_input": _missing,
        "input_drift": _drift,
        "prediction_drift": _drift,
        "drift_severity": _severity,
        "unmatched_labels": _labels,
        "unusable_labels": _labels,
        "request_split": _split,
    }
)
_HARMLESS = "By itself that harms nobody and is no reason to train anew; it counts if the error rises as well."
_FOLLOWS: Mapping[Check, str] = MappingProxyType(
    {
        "impossible_values": "The output guard keeps such answers from users; kairos why says what changed first.",
        "estimated_quality": "The labels will tell; until they are in, nothing is done.",
        "missing_input": "Somebody should look where it comes from: a new model would not bring it back.",
        "input_drift": _HARMLESS,
        "prediction_drift": _HARMLESS,
        "drift_severity": "The error may rise before the labels show it; somebody should look at these inputs.",
        "unmatched_labels": "They are not counted until their request is found; look at ids, entities and times.",
        "unusable_labels": "They are left out until right ones come; kairos labels names the lines.",
        "request_split": "Until that is explained nothing is promoted; look at how clients send the entity.",
    }
)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _since(finding: Finding) -> str:
    day = finding.window.start
    return f"{day.day} {day:%B %Y}"
